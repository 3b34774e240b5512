package kernel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// The arrays of RTM_NEWLINK must agree with the files, key by key: this is what
// notices a kernel that counts them otherwise.
func TestDevconfIsSysctl(t *testing.T) {
	h := labtest.Netns(t)
	run(t, h, "ip", []string{"-batch", "-"}, "link set lo up\nlink add d0 type veth peer name d1\nlink set d0 up\n")
	// Values that differ from key to key, as far as the kernel takes any number.
	err := h.Do(func() error {
		for i, c := range devconf4() {
			_ = os.WriteFile("/proc/sys/net/ipv4/conf/d0/"+c.key, []byte(strconv.Itoa(i%3)), 0) // some take 0 and 1 only
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := ReadNetns(t.Context(), h, Options{NoRuleset: true})
	compared := 0
	err = h.Do(func() error {
		for _, dev := range []string{"lo", "d0"} {
			for fam, list := range map[string][]devconf{"ipv4": devconf4(), "ipv6": devconf6()} {
				for _, c := range list {
					key := "net/" + fam + "/conf/" + dev + "/" + c.key
					b, err := os.ReadFile("/proc/sys/" + key)
					if err != nil {
						continue // an older kernel
					}
					compared++
					if want, got := strings.TrimSpace(string(b)), n.Sysctls[key]; want != got {
						t.Errorf("%s: netlink says %q, the file %q", key, got, want)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if compared < 40 {
		t.Errorf("only %d keys compared", compared)
	}
}

func TestNSIDs(t *testing.T) {
	a, b := labtest.Netns(t), labtest.Netns(t)
	run(t, a, "ip", []string{"link", "add", "va", "type", "veth", "peer", "name", "vb"}, "")
	moved := make(chan error)
	go func() { moved <- a.Do(func() error { return moveLink("vb", b) }) }()
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	n, gaps := ReadNetns(t.Context(), a, Options{Light: true, Peers: []*ns.Handle{a, b}})
	if len(gaps) > 0 {
		t.Error(gaps)
	}
	va := n.Link("va")
	if va == nil || va.PeerNSID < 0 {
		t.Fatalf("va: %+v", va)
	}
	same(t, "peer's namespace", InodeID(b.Inode()), n.NSIDs[va.PeerNSID])
	// Nobody that is asked about is the peer: unknown, and not a guess.
	n, _ = ReadNetns(t.Context(), a, Options{Light: true, Peers: []*ns.Handle{a}})
	same(t, "unknown peer", map[int]string{va.PeerNSID: ""}, n.NSIDs)
}

// moveLink moves a device of the calling thread's namespace into another.
func moveLink(name string, to *ns.Handle) error {
	r, err := dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return err
	}
	defer r.close()
	req := put(body(unix.SizeofIfInfomsg, unix.AF_UNSPEC), unix.IFLA_IFNAME, append([]byte(name), 0))
	if err := r.send(unix.RTM_NEWLINK, unix.NLM_F_ACK, putU32(req, unix.IFLA_NET_NS_FD, uint32(to.Fd()))); err != nil {
		return err
	}
	_, err = r.receive(func(message) error { return nil })
	return err
}

func TestSockets(t *testing.T) {
	h := labtest.Netns(t)
	run(t, h, "ip", []string{"link", "set", "lo", "up"}, "")
	var tcp net.Listener
	var udp net.PacketConn
	var conn net.Conn
	err := h.Do(func() error {
		var err error
		if tcp, err = net.Listen("tcp4", "127.0.0.1:8080"); err != nil {
			return err
		}
		if udp, err = net.ListenPacket("udp6", "[::1]:5353"); err != nil {
			return err
		}
		conn, err = net.Dial("tcp4", "127.0.0.1:8080")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(tcp.Close(), udp.Close(), conn.Close()) })
	procs, err := ns.ScanProcs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n, gaps := ReadNetns(t.Context(), h, Options{Procs: procs, NoRuleset: true})
	if len(gaps) > 0 {
		t.Error(gaps)
	}
	if len(n.Sockets) != 2 {
		t.Fatalf("sockets: %+v", n.Sockets)
	}
	s := n.Sockets[0]
	same(t, "tcp", [3]any{snap.TCP, "127.0.0.1:8080", 1}, [3]any{s.Proto, s.Local.String(), s.Queue})
	if s.Process == nil || s.Process.PID != os.Getpid() || s.Process.Files == 0 || s.Process.FilesMax < s.Process.Files {
		t.Errorf("process of the listener: %+v", s.Process)
	}
	// Nobody accepts the connection: the longer it is looked at, the longer it waits.
	for deadline := time.Now().Add(10 * time.Second); ; {
		now, _ := ReadNetns(t.Context(), h, Options{Procs: procs, NoRuleset: true})
		if w := now.Sockets[0].WaitMs; w >= 50 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the connection waits for %d ms after 10 s", w)
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if now, _ := ReadNetns(t.Context(), h, Options{Procs: procs, NoRuleset: true}); now.Sockets[0].WaitMs < 50 {
		t.Errorf("its client has given up: it waits for %d ms", now.Sockets[0].WaitMs)
	}
	same(t, "udp", [2]any{snap.UDP, "[::1]:5353"}, [2]any{n.Sockets[1].Proto, n.Sockets[1].Local.String()})
	want := snap.SocketCount{Remote: netip.MustParseAddrPort("127.0.0.1:8080"), Count: 1}
	if !slices.Contains(n.Estab, want) {
		t.Errorf("connections %+v lack %+v", n.Estab, want)
	}
}

// A program that waits for a connection is told of from its second SYN on, which
// the kernel sends after a second.
func TestTrying(t *testing.T) {
	h := labtest.Netns(t)
	run(t, h, "ip", []string{"-batch", "-"}, `link add d0 type veth peer name d1
link set d1 up
addr add 10.99.0.1/24 dev d0
link set d0 up
neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev d0
`)
	var fd int
	err := h.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err = unix.Connect(fd, &unix.SockaddrInet4{Port: 80, Addr: [4]byte{10, 99, 0, 2}}); errors.Is(err, unix.EINPROGRESS) {
			err = nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	procs, err := ns.ScanProcs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		n, gaps := ReadNetns(t.Context(), h, Options{Procs: procs, NoRuleset: true})
		if len(gaps) > 0 {
			t.Fatal(gaps)
		}
		if len(n.Trying) == 0 {
			if time.Now().After(deadline) {
				t.Fatal("nothing waits for a connection after 20 s")
			}
			continue
		}
		s := n.Trying[0]
		if len(n.Trying) != 1 || s.Remote.String() != "10.99.0.2:80" || s.Local.Addr().String() != "10.99.0.1" || s.Repeats < 1 {
			t.Errorf("waiting: %+v", n.Trying)
		}
		if s.Process == nil || s.Process.PID != os.Getpid() {
			t.Errorf("process of what waits: %+v", s.Process)
		}
		if len(n.Sockets) != 0 {
			t.Errorf("it listens to nothing: %+v", n.Sockets)
		}
		return
	}
}

func TestAskRoute(t *testing.T) {
	h := plan(t)
	at := netip.MustParseAddr
	ask := func(q RouteQuery) snap.RouteAnswer {
		t.Helper()
		answers, err := AskRoutes(t.Context(), h, []RouteQuery{q})
		if err != nil {
			t.Fatal(err)
		}
		return answers[0]
	}
	a := ask(RouteQuery{Dst: at("198.51.100.9"), Src: at("192.0.2.1"), Proto: snap.TCP, Dport: 85, Mark: 0x10})
	same(t, "by rule 90", [4]any{uint32(100), "198.51.100.0/24", 1300, "192.0.2.254"}, [4]any{a.Table, a.Matched.String(), a.MTUBytes, a.Gateway.String()})
	a = ask(RouteQuery{Dst: at("198.51.100.9"), Src: at("192.0.2.1"), Proto: snap.TCP, Dport: 443, Mark: 0x10})
	same(t, "another port", [2]any{uint32(254), "0.0.0.0/0"}, [2]any{a.Table, a.Matched.String()})
	same(t, "blackhole", "EINVAL", ask(RouteQuery{Dst: at("198.51.102.1")}).Errno)
	same(t, "unreachable", "EHOSTUNREACH", ask(RouteQuery{Dst: at("2001:db8:1::1")}).Errno)
	same(t, "no route", "ENETUNREACH", ask(RouteQuery{Dst: at("2001:db8:ffff::1")}).Errno)
	same(t, "local", "local", ask(RouteQuery{Dst: at("192.0.2.1")}).Type)
}

func TestReadStopsWithContext(t *testing.T) {
	h := labtest.Netns(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	_, gaps := ReadNetns(ctx, h, Options{})
	if len(gaps) == 0 || gaps[0].Kind != "timeout" {
		t.Errorf("gaps after a cancelled read: %+v", gaps)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %s", d)
	}
}

func TestTCX(t *testing.T) {
	h := labtest.Netns(t)
	var index int
	var held io.Closer // the program stays on its hook as long as this link is open
	err := h.Do(func() error {
		lo, err := net.InterfaceByName("lo")
		if err != nil {
			return err
		}
		index = lo.Index
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: "nd_pass", Type: ebpf.SchedCLS, License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()}, // TCX_NEXT
		})
		if err != nil {
			return err
		}
		defer p.Close()
		held, err = link.AttachTCX(link.TCXOptions{Interface: index, Program: p, Attach: ebpf.AttachTCXEgress})
		return err
	})
	if err != nil {
		labtest.Lacking(t, "%v", err)
	}
	t.Cleanup(func() { _ = held.Close() })
	n, gaps := ReadNetns(t.Context(), h, Options{NoRuleset: true})
	if len(gaps) > 0 {
		t.Error(gaps)
	}
	f := pick(t, "filter", n.LinkAt(index).Filters, func(snap.TCFilter) bool { return true })
	f.Handle = 0 // the program's number
	same(t, "filter", snap.TCFilter{Hook: "egress", Kind: "tcx", Name: "nd_pass", Protocol: unix.ETH_P_ALL, Actions: []string{"continue"}}, f)
}
