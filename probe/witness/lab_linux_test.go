package witness

import (
	"context"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// Threads that enter namespaces are thrown away: none may be the main one.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) { os.Exit(lab.M(m)) }

// reject makes the lab's host answer connections to that port by a reset.
func reject(t *testing.T, port uint16) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tab := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "corp"})
	ch := c.AddChain(&nftables.Chain{Name: "forward", Table: tab, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: tab, Chain: ch, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{byte(port >> 8), byte(port)}},
		&expr.Counter{}, &expr.Reject{Type: unix.NFT_REJECT_TCP_RST},
	}})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}

// read takes a snapshot of the lab.
func read(t *testing.T) *snap.Snapshot {
	t.Helper()
	s, err := inspect.Read(t.Context(), inspect.Options{Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sock is a bound UDP socket that never answers.
func sock(t *testing.T, at string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) }) // only a test's
	ap := netip.MustParseAddrPort(at)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
}

// A process has one lab: its host's namespace is the process's own.
func TestInALab(t *testing.T) {
	lab.New(t, lab.Default())
	reject(t, 4443)
	sock(t, "172.20.0.1:7777")
	s := read(t)
	t.Run("the kernel tells where a packet died", func(t *testing.T) { testTracepoints(t, s) })
	t.Run("packet sockets tell where a packet was", func(t *testing.T) { testSockets(t, s) })
	t.Run("counters name the rule", func(t *testing.T) { testCounters(t, s) })
	t.Run("drops are told of, and a flood is a sample", func(t *testing.T) { testDrops(t, s) })
}

func testTracepoints(t *testing.T, s *snap.Snapshot) {
	t.Helper()
	tp, err := NewTracepoints(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tp.Close(); err != nil {
			t.Error(err)
		}
	})
	type died struct {
		netns, reason string
		answer        bool
	}
	for _, tt := range []struct {
		name, from, to string
		kind           string
		outcome        string
		died           *died
		passed         string // netns/device that it must have been seen on, coming in
	}{
		{"delivered on one bridge", "client", "172.20.0.13:5432", "tcp", snap.Answered, nil, "db/eth0"},
		{"delivered to the world, masqueraded", "client", "198.51.100.20:80", "tcp", snap.Answered, nil, "host/br-app"},
		{"echo of another network's gateway", "report", "172.20.0.1:0", "icmp", snap.Answered, nil, "host/br-data"},
		{"dropped by a rule between networks", "report", "172.20.0.13:5432", "tcp", snap.TimedOut, &died{"host", "NETFILTER_DROP", false}, "host/br-data"},
		{"echo dropped between networks", "report", "172.20.0.12:0", "icmp", snap.TimedOut, &died{"host", "NETFILTER_DROP", false}, "host/br-data"},
		{"datagram dropped between networks", "report", "172.20.0.12:53", "udp", snap.TimedOut, &died{"host", "NETFILTER_DROP", false}, "host/br-data"},
		{"a closed port of the target", "client", "172.20.0.12:81", "tcp", snap.Refused, &died{"web", "NO_SOCKET", false}, "web/eth0"},
		{"a closed datagram port of the target", "client", "172.20.0.12:81", "udp", snap.Refused, &died{"web", "NO_SOCKET", false}, "web/eth0"},
		{"a reset that is the firewall's", "client", "198.51.100.20:4443", "tcp", snap.Rejected, &died{"host", "NETFILTER_DROP", false}, "host/br-app"},
		{"a listener that keeps silent", "client", "172.20.0.1:7777", "udp", snap.TimedOut, nil, "host/br-app"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &probe.Prober{Observer: tp}
			r := p.Run(t.Context(), []probe.Question{{Kind: tt.kind, From: netns(t, s, tt.from), Dst: netip.MustParseAddrPort(tt.to), Options: probe.Options{Timeout: 500 * time.Millisecond}}})[0]
			if r.Outcome != tt.outcome || !r.Watched {
				t.Errorf("outcome %s (%s), watched %v; want %s, watched", r.Outcome, r.Detail, r.Watched, tt.outcome)
			}
			var got *died
			if r.Died != nil {
				got = &died{r.Died.Netns, r.Died.Reason, r.Died.Answer}
			}
			if (got == nil) != (tt.died == nil) || got != nil && *got != *tt.died {
				t.Errorf("died %+v, want %+v; seen:\n%+v", got, tt.died, r.Seen)
			}
			ok := false
			for _, x := range r.Seen {
				ok = ok || x.What == snap.SeenReceive && x.Netns+"/"+x.Device == tt.passed
			}
			if !ok {
				t.Errorf("never seen coming in on %s: %+v", tt.passed, r.Seen)
			}
		})
	}
	t.Run("waiting ends when it died", func(t *testing.T) {
		p := &probe.Prober{Observer: tp}
		// Waiting to the end would be longer than the whole test may take.
		r := p.TCP(t.Context(), netns(t, s, "report"), netip.MustParseAddrPort("172.20.0.13:5432"), probe.Options{Timeout: time.Hour})
		if r.Outcome != snap.TimedOut || r.Died == nil || r.Sent != 1 {
			t.Errorf("outcome %s, died %v, %d sent; want one that timed out as it died", r.Outcome, r.Died, r.Sent)
		}
	})
}

func testSockets(t *testing.T, s *snap.Snapshot) {
	t.Helper()
	ps, err := NewSockets(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ps.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct {
		name, from, to, kind, outcome string
		last                          string // netns/device and what, of the question
		answer                        string // the same of the answer; "" none was seen
	}{
		{"delivered on one bridge", "client", "172.20.0.13:5432", "tcp", snap.Answered, "receive db/eth0", "receive client/eth0"},
		{"an echo", "client", "172.20.0.13:0", "icmp", snap.Answered, "receive db/eth0", "receive client/eth0"},
		{"dropped by a rule between networks", "report", "172.20.0.13:5432", "tcp", snap.TimedOut, "receive host/br-data", ""},
		{"a closed datagram port", "client", "172.20.0.12:81", "udp", snap.Refused, "receive web/eth0", "receive client/eth0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &probe.Prober{Observer: ps}
			r := p.Run(t.Context(), []probe.Question{{Kind: tt.kind, From: netns(t, s, tt.from), Dst: netip.MustParseAddrPort(tt.to), Options: probe.Options{Timeout: 300 * time.Millisecond}}})[0]
			last, answer := "", ""
			for _, x := range r.Seen {
				at := x.What + " " + x.Netns + "/" + x.Device
				if x.Answer {
					answer = at
				} else if answer == "" {
					last = at
				}
			}
			if r.Outcome != tt.outcome || !r.Watched || r.Died != nil || last != tt.last || answer != tt.answer {
				t.Errorf("outcome %s, watched %v, died %v, the question was last seen %q, the answer %q; want %s, %q, %q\n%+v", r.Outcome, r.Watched, r.Died, last, answer, tt.outcome, tt.last, tt.answer, r.Seen)
			}
		})
	}
}

func testDrops(t *testing.T, s *snap.Snapshot) {
	t.Helper()
	d, err := NewDrops(s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	q := probe.Question{Kind: "udp", From: netns(t, s, "report"), Dst: netip.MustParseAddrPort("172.20.0.12:9")}
	p := &probe.Prober{}
	if _, err := p.Burst(ctx, q, 1); err != nil {
		t.Fatal(err)
	}
	for {
		x, err := d.Next(ctx)
		if err != nil {
			t.Fatalf("the drop was not told of: %v", err)
		}
		if x.Dst == q.Dst && x.Src.Addr() == netip.MustParseAddr("172.21.0.11") {
			if x.Netns != "host" || x.Device != "br-data" || x.Reason != "NETFILTER_DROP" || x.Proto != snap.UDP {
				t.Errorf("told of %+v, want a NETFILTER_DROP in host on br-data", x)
			}
			break
		}
	}
	for d.Skipped() == 0 {
		if ctx.Err() != nil {
			t.Fatal("no flood was sampled")
		}
		if _, err := p.Burst(ctx, q, 200); err != nil {
			t.Fatal(err)
		}
	}
}

func testCounters(t *testing.T, s *snap.Snapshot) {
	t.Helper()
	host := netns(t, s, "host")
	p := &probe.Prober{}
	for _, tt := range []struct {
		name, from, to, kind string
		want                 []string // what must be among the counters
	}{
		{"a rule that rejects", "client", "198.51.100.20:4443", "tcp", []string{"netns/host/nft/inet/corp/forward/rule/1"}},
		{"a rule that drops echoes", "report", "172.20.0.12:0", "icmp", []string{"netns/host/nft/ipv4/netdoctor/forward/rule/7"}},
		{"nothing of a packet that never leaves", "client", "127.0.0.1:9", "udp", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Count(t.Context(), p, probe.Question{Kind: tt.kind, From: netns(t, s, tt.from), Dst: netip.MustParseAddrPort(tt.to)}, []*snap.Netns{host})
			if err != nil {
				t.Fatal(err)
			}
			var refs []string
			for _, c := range got {
				if !c.Exact() {
					t.Errorf("%+v is not exact", c)
				}
				refs = append(refs, string(c.Ref))
			}
			for _, w := range tt.want {
				if !slices.Contains(refs, w) {
					t.Errorf("%s did not count; these did: %v", w, refs)
				}
			}
			if tt.want == nil && len(refs) > 0 {
				t.Errorf("counted %v, want nothing", refs)
			}
		})
	}
}

// netns is the namespace of a container, "host" the host's.
func netns(t *testing.T, s *snap.Snapshot, name string) *snap.Netns {
	t.Helper()
	n := s.Ns(name)
	if n == nil {
		t.Fatalf("no namespace %s in the lab", name)
	}
	return n
}
