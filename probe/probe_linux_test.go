package probe

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// stable leaves out what differs from run to run.
func stable() cmp.Option {
	return cmp.Options{
		cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}),
		cmpopts.IgnoreFields(snap.Probe{}, "At", "RTTMs", "Src", "Sent"),
	}
}

// listenTCP accepts and echoes nothing.
func (r *room) listenTCP(network, addr string) {
	r.t.Helper()
	var l net.Listener
	r.in(func() (err error) {
		l, err = net.Listen(network, addr)
		return err
	})
	serve(r.t, l, func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close() // the probe wants no more
		}
	})
}

// listenUDP answers each datagram with what fn makes of it, from its own
// socket or another.
func (r *room) listenUDP(network, addr string, fn func(c *net.UDPConn, from netip.AddrPort, b []byte)) *net.UDPConn {
	r.t.Helper()
	var c *net.UDPConn
	r.in(func() error {
		p, err := net.ListenPacket(network, addr)
		if err == nil {
			c = p.(*net.UDPConn)
		}
		return err
	})
	serve(r.t, c, func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			fn(c, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:n])
		}
	})
	return c
}

func echoBack(c *net.UDPConn, from netip.AddrPort, b []byte) { _, _ = c.WriteToUDPAddrPort(b, from) }

func TestOutcomes(t *testing.T) {
	w := newWorld(t)
	w.server.listenTCP("tcp4", "198.51.100.1:80")
	w.server.listenTCP("tcp6", "[2001:db8:2::1]:80")
	w.server.listenUDP("udp4", "198.51.100.1:7", echoBack)
	w.server.listenUDP("udp6", "[2001:db8:2::1]:7", echoBack)
	w.server.listenUDP("udp4", "198.51.100.1:9", func(*net.UDPConn, netip.AddrPort, []byte) {})
	other := w.server.listenUDP("udp4", "198.51.100.2:7", func(*net.UDPConn, netip.AddrPort, []byte) {})
	w.server.listenUDP("udp4", "198.51.100.1:8", func(_ *net.UDPConn, from netip.AddrPort, b []byte) { echoBack(other, from, b) })

	router, router6 := netip.MustParseAddr("192.0.2.254"), netip.MustParseAddr("2001:db8:1::254")
	self := netip.MustParseAddr("192.0.2.1")
	neigh := "host unreachable, says the sender's own stack: no neighbour answered (or its own firewall rejects so)"
	tests := []struct {
		name string
		q    Question
		want snap.Probe
	}{
		{"tcp to a listener", Question{Kind: "tcp", Dst: ap("198.51.100.1:80")}, snap.Probe{Outcome: snap.Answered, Got: 1}},
		{"tcp to a listener, IPv6", Question{Kind: "tcp", Dst: ap("[2001:db8:2::1]:80")}, snap.Probe{Outcome: snap.Answered, Got: 1}},
		{"tcp to a closed port", Question{Kind: "tcp", Dst: ap("198.51.100.1:81")}, snap.Probe{Outcome: snap.Refused, Got: 1, Errno: "ECONNREFUSED"}},
		{"tcp to a closed port, IPv6", Question{Kind: "tcp", Dst: ap("[2001:db8:2::1]:81")}, snap.Probe{Outcome: snap.Refused, Got: 1, Errno: "ECONNREFUSED"}},
		{
			"tcp rejected by a router",
			Question{Kind: "tcp", Dst: ap("10.1.0.1:80")},
			snap.Probe{Outcome: snap.Rejected, Got: 1, Errno: "EHOSTUNREACH", By: router, ICMP: &snap.ICMPInfo{Type: 3, Code: 1}},
		},
		{
			"tcp prohibited by a router",
			Question{Kind: "tcp", Dst: ap("10.2.0.1:80")},
			snap.Probe{Outcome: snap.Rejected, Got: 1, Errno: "EHOSTUNREACH", By: router, ICMP: &snap.ICMPInfo{Type: 3, Code: 13}},
		},
		{
			"tcp prohibited by a router, IPv6",
			Question{Kind: "tcp", Dst: ap("[2001:db8:dead::1]:80")},
			snap.Probe{Outcome: snap.Rejected, Got: 1, Errno: "EACCES", By: router6, ICMP: &snap.ICMPInfo{Type: 1, Code: 1}},
		},
		{"tcp dropped silently", Question{Kind: "tcp", Dst: ap("10.3.0.1:80")}, snap.Probe{Outcome: snap.TimedOut}},
		{
			"tcp without a route",
			Question{Kind: "tcp", Dst: ap("10.4.0.1:80")},
			snap.Probe{Outcome: snap.Unroutable, Errno: "EHOSTUNREACH", Detail: "its own stack does not send it: no route to host"},
		},
		{
			"tcp into its own blackhole",
			Question{Kind: "tcp", Dst: ap("10.5.0.1:80")},
			snap.Probe{Outcome: snap.Unroutable, Errno: "EINVAL", Detail: "its own stack does not send it: invalid argument"},
		},
		{"udp echo", Question{Kind: "udp", Dst: ap("198.51.100.1:7")}, snap.Probe{Outcome: snap.Answered, Got: 1}},
		{"udp echo, IPv6", Question{Kind: "udp", Dst: ap("[2001:db8:2::1]:7")}, snap.Probe{Outcome: snap.Answered, Got: 1}},
		{
			"udp to a closed port",
			Question{Kind: "udp", Dst: ap("198.51.100.1:10")},
			snap.Probe{Outcome: snap.Refused, Got: 1, Errno: "ECONNREFUSED", By: netip.MustParseAddr("198.51.100.1"), ICMP: &snap.ICMPInfo{Type: 3, Code: 3}},
		},
		{"udp to a silent listener", Question{Kind: "udp", Dst: ap("198.51.100.1:9")}, snap.Probe{Outcome: snap.TimedOut}},
		{
			"udp answered from a wrong address",
			Question{Kind: "udp", Dst: ap("198.51.100.1:8")},
			snap.Probe{Outcome: snap.TimedOut, Strange: netip.MustParseAddrPort("198.51.100.2:7"), Detail: "an answer came from 198.51.100.2:7 instead"},
		},
		{
			"udp prohibited by a router",
			Question{Kind: "udp", Dst: ap("10.2.0.1:53")},
			snap.Probe{Outcome: snap.Rejected, Got: 1, Errno: "EHOSTUNREACH", By: router, ICMP: &snap.ICMPInfo{Type: 3, Code: 13}},
		},
		{
			"udp without a route",
			Question{Kind: "udp", Dst: ap("10.4.0.1:53")},
			snap.Probe{Outcome: snap.Unroutable, Errno: "EHOSTUNREACH", Detail: "its own stack does not send it: no route to host"},
		},
		{"echo", Question{Kind: "icmp", Dst: ap("198.51.100.1:0")}, snap.Probe{Outcome: snap.Answered, Got: 1}},
		{"echo, IPv6", Question{Kind: "icmp", Dst: ap("[2001:db8:2::1]:0")}, snap.Probe{Outcome: snap.Answered, Got: 1}},
		{
			"echo rejected by a router",
			Question{Kind: "icmp", Dst: ap("10.1.0.1:0")},
			snap.Probe{Outcome: snap.Rejected, Got: 1, Errno: "EHOSTUNREACH", By: router, ICMP: &snap.ICMPInfo{Type: 3, Code: 1}},
		},
		{
			"echo that is too big for the path",
			Question{Kind: "icmp", Dst: ap("198.51.100.1:0"), Options: Options{Size: 1472, DF: true}},
			snap.Probe{Outcome: snap.Rejected, Got: 1, Errno: "EMSGSIZE", By: router, ICMP: &snap.ICMPInfo{Type: 3, Code: 4, MTU: 1400}, Size: 1472, DF: true},
		},
		{
			"echo that is too big for its own device",
			Question{Kind: "icmp", Dst: ap("198.51.100.1:0"), Options: Options{Size: 1473, DF: true}},
			snap.Probe{Outcome: snap.Unroutable, Errno: "EMSGSIZE", Detail: "too big for its own device: MTU 1500", Size: 1473, DF: true},
		},
		{
			"echo with a TTL that ends at the router",
			Question{Kind: "icmp", Dst: ap("198.51.100.1:0"), Options: Options{TTL: 1}},
			snap.Probe{Outcome: snap.Rejected, Got: 1, Errno: "EHOSTUNREACH", By: router, ICMP: &snap.ICMPInfo{Type: 11, Code: 0}},
		},
		{
			"echo to nobody on the link",
			Question{Kind: "icmp", Dst: ap("192.0.2.77:0"), Options: Options{Timeout: 5 * time.Second, Tries: 1}},
			snap.Probe{Outcome: snap.Unroutable, Got: 1, Errno: "EHOSTUNREACH", By: self, ICMP: &snap.ICMPInfo{Type: 3, Code: 1}, Detail: neigh},
		},
		{"arp for a neighbour", Question{Kind: "arp", Dst: ap("192.0.2.254:0")}, snap.Probe{Outcome: snap.Answered, Got: 1, MAC: w.router.n.Link("lan").MAC}},
		{"neighbour solicitation", Question{Kind: "arp", Dst: ap("[2001:db8:1::254]:0")}, snap.Probe{Outcome: snap.Answered, Got: 1, MAC: w.router.n.Link("lan").MAC}},
		{"whether anybody has an address", Question{Kind: "neigh", Dst: ap("192.0.2.254:0")}, snap.Probe{Outcome: snap.Answered, Got: 1, MAC: w.router.n.Link("lan").MAC}},
		{"whether anybody has an IPv6 address", Question{Kind: "neigh", Dst: ap("[2001:db8:1::254]:0")}, snap.Probe{Outcome: snap.Answered, Got: 1, MAC: w.router.n.Link("lan").MAC}},
		{"whether anybody has an address that nobody has", Question{Kind: "neigh", Dst: ap("192.0.2.78:0")}, snap.Probe{Outcome: snap.TimedOut}},
		{"arp for nobody", Question{Kind: "arp", Dst: ap("192.0.2.78:0")}, snap.Probe{Outcome: snap.TimedOut}},
		{"neighbour solicitation for nobody", Question{Kind: "arp", Dst: ap("[2001:db8:1::78]:0")}, snap.Probe{Outcome: snap.TimedOut}},
		{
			"arp beyond the link",
			Question{Kind: "arp", Dst: ap("198.51.100.1:0")},
			snap.Probe{Outcome: snap.Unroutable, Detail: "no device of the namespace has 198.51.100.1 on its link"},
		},
		{
			"an unknown kind",
			Question{Kind: "gopher", Dst: ap("198.51.100.1:70")},
			snap.Probe{Outcome: snap.Failed, Detail: `probe of kind "gopher": not supported here`},
		},
	}
	var qs []Question
	for _, tt := range tests {
		tt.q.From = w.client.n
		qs = append(qs, tt.q)
	}
	p := &Prober{Timeout: 500 * time.Millisecond}
	got := p.Run(t.Context(), qs)
	for i, tt := range tests {
		// A router says that a route is closed at most five times in a row to one
		// peer, then once a second (net/ipv4/route.c: ip_error), for all of the
		// machine's namespaces together: who was not told asks again.
		for tries := 0; tt.want.Outcome == snap.Rejected && got[i].Outcome == snap.TimedOut && tries < 20; tries++ {
			got[i] = p.Run(t.Context(), qs[i:i+1])[0]
		}
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Kind, tt.want.Dst, tt.want.From = tt.q.Kind, tt.q.Dst, "client"
			if diff := cmp.Diff(tt.want, got[i], stable()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestSourceIsTheOneAskedFor(t *testing.T) {
	w := newWorld(t)
	w.server.listenTCP("tcp4", "198.51.100.1:80")
	p := &Prober{}
	r := p.TCP(t.Context(), w.client.n, ap("198.51.100.1:80"), Options{Src: netip.MustParseAddr("192.0.2.1"), Sport: 61999})
	if want := ap("192.0.2.1:61999"); r.Src != want || r.Outcome != snap.Answered {
		t.Errorf("source %v, outcome %s (%s), want %v answered", r.Src, r.Outcome, r.Detail, want)
	}
	r = p.TCP(t.Context(), w.client.n, ap("198.51.100.1:80"), Options{})
	if r.Src.Port() < FirstPort || r.Src.Port() >= FirstPort+Ports {
		t.Errorf("source port %d is not one of our own", r.Src.Port())
	}
}

func TestTwoHoldersOfOneAddress(t *testing.T) {
	a, sw, b, c := newRoom(t, "a"), newRoom(t, "switch"), newRoom(t, "b"), newRoom(t, "c")
	sw.bridge("br0")
	for i, r := range []*room{a, b, c} {
		port := "p" + string(rune('0'+i))
		cable(r, "eth0", sw, port, 1500)
		sw.enslave(port, "br0")
	}
	a.addr("eth0", "192.0.2.1/24")
	b.addr("eth0", "192.0.2.9/24")
	c.addr("eth0", "192.0.2.9/24")
	r := (&Prober{}).ARP(t.Context(), a.n, netip.MustParseAddr("192.0.2.9"), Options{})
	if r.Got != 2 || len(strings.Split(r.MAC, ",")) != 2 {
		t.Errorf("got %d holders %q, want both (%s %s)", r.Got, r.MAC, r.Outcome, r.Detail)
	}
}

func TestCancelEndsAtOnce(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	got := (&Prober{Timeout: time.Minute}).Run(ctx, []Question{
		{Kind: "tcp", From: w.client.n, Dst: ap("10.3.0.1:80")},
		{Kind: "udp", From: w.client.n, Dst: ap("10.3.0.1:80")},
		{Kind: "icmp", From: w.client.n, Dst: ap("10.3.0.1:0")},
		{Kind: "arp", From: w.client.n, Dst: ap("192.0.2.79:0")},
		{Kind: "dns", From: w.client.n, Dst: ap("10.3.0.1:53"), Options: Options{Name: "example.org"}},
		{Kind: "dns", From: w.client.n, Dst: ap("10.3.0.1:53"), Options: Options{Name: "example.org", TCP: true}},
	})
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v after being cancelled at 50 ms", d)
	}
	for _, r := range got {
		if r.Outcome != snap.Failed || r.Detail != "cancelled before an answer came" {
			t.Errorf("%s: outcome %s (%s), want a cancelled one", r.Kind, r.Outcome, r.Detail)
		}
	}
}

func TestAnotherNamespaceByNowIsRefused(t *testing.T) {
	a := newRoom(t, "a")
	a.n.Inode = 1
	r := (&Prober{}).TCP(t.Context(), a.n, ap("127.0.0.1:80"), Options{})
	if r.Outcome != snap.Failed || !strings.Contains(r.Detail, "vanished") {
		t.Errorf("outcome %s (%s), want an error that says vanished", r.Outcome, r.Detail)
	}
}

func TestPathMTU(t *testing.T) {
	w := newWorld(t)
	p := &Prober{Timeout: 200 * time.Millisecond}
	tests := []struct {
		name string
		dst  string
		want PathMTU
	}{
		{"a router tells", "198.51.100.1", PathMTU{MTUBytes: 1400, TooBigBytes: 1401, ToldBytes: 1400, By: netip.MustParseAddr("192.0.2.254")}},
		{"a router tells, IPv6", "2001:db8:2::1", PathMTU{MTUBytes: 1400, TooBigBytes: 1401, ToldBytes: 1400, By: netip.MustParseAddr("2001:db8:1::254")}},
		{"nobody tells", "203.0.113.1", PathMTU{MTUBytes: 1304, TooBigBytes: 1305}},
		{"no limit", "192.0.2.254", PathMTU{MTUBytes: 1500}},
		{"nobody there", "10.3.0.1", PathMTU{TooBigBytes: 68}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := p.PMTU(t.Context(), w.client.n, netip.MustParseAddr(tt.dst), 0, Options{Timeout: 600 * time.Millisecond}) // a neighbour, on a busy machine
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(PathMTU{}, "Probes"), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// An ICMP error goes to every raw socket that the packet it quotes might be of
// (net/ipv4/raw.c: raw_icmp_error), and stops the next thing that is sent there.
func TestErrorsAboutOthersEchoes(t *testing.T) {
	w := newWorld(t)
	p := &Prober{}
	var qs []Question
	for range 24 {
		qs = append(qs,
			Question{Kind: "icmp", From: w.client.n, Dst: ap("198.51.100.1:0"), Options: Options{Size: 1432, DF: true}}, // too big for the path
			Question{Kind: "icmp", From: w.client.n, Dst: ap("198.51.100.1:0"), Options: Options{Size: 1473, DF: true}}) // for its own device
	}
	for range 4 {
		for i, r := range p.Run(t.Context(), qs) {
			if i%2 == 1 && r.Outcome != snap.Unroutable {
				t.Errorf("echo %d, of %d bytes to %s: %s (%s), by %v; want %s", i, r.Size, r.Dst, r.Outcome, r.Detail, r.By, snap.Unroutable)
			}
		}
	}
}

// What the kernel learned of a path by being asked is no longer there afterwards: it
// would have connections work for a while that did not before.
func TestPathMTUIsForgotten(t *testing.T) {
	w := newWorld(t)
	p := &Prober{}
	for _, dst := range []string{"198.51.100.1", "2001:db8:2::1"} {
		got := p.PMTU(t.Context(), w.client.n, netip.MustParseAddr(dst), 0, Options{Timeout: 600 * time.Millisecond})
		if got.ToldBytes != 1400 {
			t.Fatalf("%s: no router told the MTU: %+v", dst, got)
		}
		w.client.in(func() error {
			rs, err := netlink.RouteGet(net.ParseIP(dst))
			if err == nil && (len(rs) != 1 || rs[0].MTU != 0) {
				t.Errorf("the way to %s is known now as one of %d bytes", dst, rs[0].MTU)
			}
			return err
		})
	}
}
