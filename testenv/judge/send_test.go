package judge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// flow is a packet to send and to predict.
type flow struct {
	text    string
	from    string
	sim     sim.Flow
	want    string // the verdict measured when the case was written; "" none
	unknown bool   // that sim must not know: chance decides
}

// outcome is what the sender saw.
type outcome struct{ verdict, errno, detail string }

// parseFlow reads "client tcp 192.0.2.1:80 size=1472 df mark=1 sport=4000
// src=10.0.0.1 = delivered". "= unknown" means that chance decides.
func (s *scene) parseFlow(text string) flow {
	s.t.Helper()
	f := flow{text: text}
	spec, want, _ := strings.Cut(text, " = ")
	if f.want = want; want == "unknown" {
		f.want, f.unknown = "", true
	}
	w := strings.Fields(spec)
	f.from = w[0]
	f.sim = sim.Flow{From: s.ids[w[0]], Proto: snap.Proto(w[1])}
	if f.sim.Proto == snap.ICMP {
		f.sim.Dst = netip.MustParseAddr(w[2])
	} else {
		ap := netip.MustParseAddrPort(w[2])
		f.sim.Dst, f.sim.Dport = ap.Addr(), ap.Port()
	}
	for _, o := range w[3:] {
		k, v, _ := strings.Cut(o, "=")
		num := func(bits int) uint64 {
			n, err := strconv.ParseUint(v, 0, bits)
			if err != nil {
				s.t.Fatalf("%s: %v", text, err)
			}
			return n
		}
		switch k {
		case "size":
			f.sim.Size = int(num(16))
		case "df":
			f.sim.DF = true
		case "mark":
			f.sim.Mark = uint32(num(32))
		case "sport":
			f.sim.Sport = uint16(num(16))
		case "ttl":
			f.sim.TTL = uint8(num(8))
		case "src":
			f.sim.Src = netip.MustParseAddr(v)
		default:
			s.t.Fatalf("%s: what is %s?", text, o)
		}
	}
	return f
}

// send sends the flows like sendWithin.
func (s *scene) send(list []flow) []outcome {
	s.t.Helper()
	return s.sendWithin(list, answerWithin)
}

// sendWithin sends all flows at once, and waits so long for each answer. Echoes of
// one sender to one destination go one after the other: the kernel tells every raw
// socket that is connected there of an ICMP error, whoever's packet it is about
// (net/ipv4/raw.c: raw_icmp_error).
func (s *scene) sendWithin(list []flow, wait time.Duration) []outcome {
	out := make([]outcome, len(list))
	var wg sync.WaitGroup
	echoes := map[string]*sync.Mutex{}
	for i, f := range list {
		turn := &sync.Mutex{}
		if f.sim.Proto == snap.ICMP {
			key := f.from + " " + f.sim.Dst.String()
			if echoes[key] == nil {
				echoes[key] = turn
			}
			turn = echoes[key]
		}
		wg.Go(func() {
			turn.Lock()
			defer turn.Unlock()
			if err := s.ns[f.from].Do(func() error { out[i] = attempt(f.sim, wait); return nil }); err != nil {
				out[i] = outcome{verdict: "error", detail: err.Error()}
			}
		})
	}
	wg.Wait()
	for i := range out {
		if out[i].verdict == "error" {
			s.t.Fatalf("%s: %s", list[i].text, out[i].detail)
		}
	}
	return out
}

var echoIDs atomic.Uint32

func sockaddr(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port)}
}

// attempt sends one flow from the namespace of this thread.
func attempt(f sim.Flow, within time.Duration) outcome {
	af, level, discover, ttl, echo := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_TTL, unix.IPPROTO_ICMP
	if f.Dst.Is6() {
		af, level, discover, ttl, echo = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_UNICAST_HOPS, unix.IPPROTO_ICMPV6
	}
	typ, proto := unix.SOCK_STREAM, 0
	switch f.Proto {
	case snap.UDP:
		typ = unix.SOCK_DGRAM
	case snap.ICMP:
		typ, proto = unix.SOCK_RAW, echo
	}
	fd, err := unix.Socket(af, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
	fail := func(what string, err error) outcome { return outcome{"error", "", fmt.Sprintf("%s: %v", what, err)} }
	if err != nil {
		return fail("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	opts := []struct {
		on          bool
		lvl, opt, v int
	}{
		{f.Mark != 0, unix.SOL_SOCKET, unix.SO_MARK, int(f.Mark)},
		{f.DF, level, discover, unix.IP_PMTUDISC_DO},
		{f.TTL != 0, level, ttl, int(f.TTL)},
		{f.Sport != 0, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
	}
	for _, o := range opts {
		if o.on {
			if err := unix.SetsockoptInt(fd, o.lvl, o.opt, o.v); err != nil {
				return fail("setsockopt", err)
			}
		}
	}
	if f.Sport != 0 || f.Src.IsValid() {
		src := f.Src
		if !src.IsValid() {
			if src = netip.IPv4Unspecified(); f.Dst.Is6() {
				src = netip.IPv6Unspecified()
			}
		}
		if err := unix.Bind(fd, sockaddr(src, f.Sport)); err != nil {
			return told("bind", err)
		}
	}
	if err := unix.Connect(fd, sockaddr(f.Dst, f.Dport)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return told("connect", err)
	}
	if f.Proto == snap.TCP {
		return established(fd, within)
	}
	size := f.Size
	if size == 0 {
		size = 13
	}
	msg := make([]byte, size)
	id := uint16(echoIDs.Add(1))
	if f.Proto == snap.ICMP {
		msg = append(make([]byte, 8), msg...)
		msg[0] = 8
		if f.Dst.Is6() {
			msg[0] = 128 // the kernel fills in the checksum
		}
		binary.BigEndian.PutUint16(msg[4:], id)
		if f.Dst.Is4() {
			binary.BigEndian.PutUint16(msg[2:], checksum(msg))
		}
	}
	if _, err := unix.Write(fd, msg); err != nil {
		return told("send", err)
	}
	return answered(fd, f, id, within)
}

// told is an error that the stack gave the sender.
func told(what string, err error) outcome {
	v := "dropped"
	if errors.Is(err, unix.ECONNREFUSED) {
		v = "refused"
	}
	name := ""
	if e := unix.Errno(0); errors.As(err, &e) {
		name = unix.ErrnoName(e)
	}
	return outcome{v, name, what + ": " + err.Error()}
}

// wait polls a socket until it has something to say.
func wait(fd int, events int16, deadline time.Time) bool {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(left/time.Millisecond)+1)
		if n > 0 && err == nil {
			return true
		}
	}
}

// established waits for a TCP handshake.
func established(fd int, within time.Duration) outcome {
	if !wait(fd, unix.POLLOUT, time.Now().Add(within)) {
		return outcome{"dropped", "", "no answer"}
	}
	e, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return outcome{"error", "", err.Error()}
	}
	if e != 0 {
		return told("connect", unix.Errno(e))
	}
	return outcome{verdict: "delivered"}
}

// answered waits for a datagram that answers.
func answered(fd int, f sim.Flow, id uint16, within time.Duration) outcome {
	deadline := time.Now().Add(within)
	buf := make([]byte, 65536)
	for wait(fd, unix.POLLIN, deadline) {
		n, err := unix.Read(fd, buf)
		switch {
		case err != nil:
			return told("receive", err)
		case f.Proto != snap.ICMP:
			return outcome{verdict: "delivered"}
		}
		b := buf[:n]
		reply := byte(0)
		if f.Dst.Is4() {
			b = b[min(n, int(b[0]&15)*4):] // a raw IPv4 socket gives the header, too
		} else {
			reply = 129
		}
		if len(b) >= 8 && b[0] == reply && binary.BigEndian.Uint16(b[4:]) == id {
			return outcome{verdict: "delivered"}
		}
	}
	return outcome{"dropped", "", "no answer"}
}

func checksum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// serve opens echo servers in a namespace: "tcp 80", "udp 53", on all
// addresses of both families, or on one: "tcp 127.0.0.1:80".
func (s *scene) serve(n string, list ...string) {
	s.t.Helper()
	for _, spec := range list {
		p, at, _ := strings.Cut(spec, " ")
		ap, err := netip.ParseAddrPort(at)
		if err != nil {
			port, err := strconv.ParseUint(at, 10, 16)
			if err != nil {
				s.t.Fatal(err)
			}
			ap = netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port))
		}
		if err := s.ns[n].Do(func() error { return s.open(p, ap) }); err != nil {
			s.t.Fatalf("serving %s in %s: %v", spec, n, err)
		}
	}
}

func (s *scene) open(proto string, ap netip.AddrPort) error {
	af, typ := unix.AF_INET, unix.SOCK_STREAM
	if ap.Addr().Is6() {
		af = unix.AF_INET6
	}
	if proto == "udp" {
		typ = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(af, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.t.Cleanup(func() { _ = unix.Shutdown(fd, unix.SHUT_RDWR); _ = unix.Close(fd) })
	if err := unix.Bind(fd, sockaddr(ap.Addr(), ap.Port())); err != nil {
		return err
	}
	if proto == "tcp" {
		return unix.Listen(fd, 64) // the kernel completes the handshake by itself
	}
	// The answer must come from the address that was asked, as a careful server's.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
		return err
	}
	if af == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
			return err
		}
	}
	go echo(fd)
	return nil
}

// echo answers datagrams, shortly, until the socket is shut down.
func echo(fd int) {
	buf, oob := make([]byte, 65536), make([]byte, 256)
	for {
		n, on, _, from, err := unix.Recvmsg(fd, buf, oob, 0)
		if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EINTR) {
			continue // an error of an earlier answer
		}
		if err != nil || from == nil {
			return
		}
		_ = unix.Sendmsg(fd, buf[:min(n, 17)], answerFrom(oob[:on]), from, 0) // who does not hear it asks again
	}
}

// answerFrom says that an answer is to come from the address that was asked;
// the device is left to the routing decision. A packet of IPv4 to a socket of
// both families has the address twice.
func answerFrom(oob []byte) []byte {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var six []byte
	for _, m := range list {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[4:8])}) // ipi_spec_dst
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			if a := netip.AddrFrom16([16]byte(m.Data)); !a.IsLinkLocalUnicast() {
				six = unix.PktInfo6(&unix.Inet6Pktinfo{Addr: a.As16()})
			}
		}
	}
	return six
}
