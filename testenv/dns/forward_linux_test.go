package dns_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/testenv/dns"
)

func TestUpstreamsAreAskedInOrder(t *testing.T) {
	a, b, c, d := says("203.0.113.1"), says("203.0.113.2"), says("203.0.113.3"), says("203.0.113.4")
	for _, tt := range []struct {
		name  string
		ups   []func(*mdns.Msg) []*mdns.Msg
		want  string
		asked []int64
	}{
		{"the first answers", []func(*mdns.Msg) []*mdns.Msg{a, b}, "NOERROR 203.0.113.1", []int64{1, 0}},
		{"NXDOMAIN is final", []func(*mdns.Msg) []*mdns.Msg{code(mdns.RcodeNameError), b}, "NXDOMAIN", []int64{1, 0}},
		{"SERVFAIL asks the next", []func(*mdns.Msg) []*mdns.Msg{code(mdns.RcodeServerFailure), b}, "NOERROR 203.0.113.2", []int64{1, 1}},
		{"REFUSED asks the next", []func(*mdns.Msg) []*mdns.Msg{code(mdns.RcodeRefused), b}, "NOERROR 203.0.113.2", []int64{1, 1}},
		{"silence asks the next", []func(*mdns.Msg) []*mdns.Msg{nil, nil, c}, "NOERROR 203.0.113.3", []int64{1, 1, 1}},
		{"the fourth is never asked", []func(*mdns.Msg) []*mdns.Msg{nil, nil, nil, d}, "SERVFAIL", []int64{1, 1, 1, 0}},
		{"none at all", nil, "SERVFAIL", nil},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(tt.name+" "+transport, func(t *testing.T) {
				var con dns.Container
				var ups []*upstream
				for _, f := range tt.ups {
					u := world(t, f)
					ups = append(ups, u)
					con.Upstreams = append(con.Upstreams, dns.Upstream{Addr: u.addr, Host: true})
				}
				r := run(t, &dns.Server{Limits: dns.Limits{Upstream: 100 * time.Millisecond}}, con)
				if got := seen(r.ask(t, transport, "www.example.org.", mdns.TypeA, nil)); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				for i, u := range ups {
					if got := u.asked.Load(); got != tt.asked[i] {
						t.Errorf("server %d was asked %d times, want %d", i+1, got, tt.asked[i])
					}
				}
			})
		}
	}
}

func TestAnInternalNetworkIsNotForwardedFromTheHost(t *testing.T) {
	z := small()
	z.Internal = true
	host, inside := world(t, says("203.0.113.1")), world(t, says("203.0.113.2"))
	s := &dns.Server{Records: records(z)}
	r := run(t, s, dns.Container{Upstreams: []dns.Upstream{{Addr: host.addr, Host: true}}})
	if got := seen(r.ask(t, "udp", "www.example.org.", mdns.TypeA, nil)); got != "SERVFAIL" {
		t.Error(got)
	}
	dialled := 0
	r = run(t, s, dns.Container{Upstreams: []dns.Upstream{{Addr: host.addr, Host: true}, {Addr: inside.addr, Dial: func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		dialled++
		return (&net.Dialer{}).DialContext(ctx, network, to.String())
	}}}})
	if got := seen(r.ask(t, "udp", "www.example.org.", mdns.TypeA, nil)); got != "NOERROR 203.0.113.2" {
		t.Error(got)
	}
	if host.asked.Load() != 0 || dialled != 1 {
		t.Errorf("the host's server was asked %d times, the container's socket opened %d times", host.asked.Load(), dialled)
	}
}

func TestShortNamesStayLocalWithOwnNdots(t *testing.T) {
	up := world(t, says("203.0.113.9"))
	r := run(t, &dns.Server{Records: records(small())}, dns.Container{ShortStaysLocal: true, Upstreams: []dns.Upstream{{Addr: up.addr}}})
	for name, want := range map[string]string{"nobody.": "NOERROR", "web.": "NOERROR 172.20.0.12", "no.body.": "NOERROR 203.0.113.9"} {
		if got := seen(r.ask(t, "udp", name, mdns.TypeA, nil)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestLiesAreNotPassedOn(t *testing.T) {
	lie := func(edit func(*mdns.Msg)) func(*mdns.Msg) []*mdns.Msg {
		return func(q *mdns.Msg) []*mdns.Msg {
			false1 := says("192.0.2.66")(q)[0]
			edit(false1)
			return append([]*mdns.Msg{false1}, says("203.0.113.1")(q)...)
		}
	}
	for name, edit := range map[string]func(*mdns.Msg){
		"another id":       func(m *mdns.Msg) { m.Id++ },
		"another name":     func(m *mdns.Msg) { m.Question[0].Name = "www.example.com." },
		"another type":     func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeAAAA },
		"another class":    func(m *mdns.Msg) { m.Question[0].Qclass = mdns.ClassCHAOS },
		"a query":          func(m *mdns.Msg) { m.Response = false },
		"no question":      func(m *mdns.Msg) { m.Question = nil },
		"a question twice": func(m *mdns.Msg) { m.Question = append(m.Question, m.Question[0]) },
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(name+" "+transport, func(t *testing.T) {
				up := world(t, lie(edit))
				r := run(t, &dns.Server{}, dns.Container{Upstreams: []dns.Upstream{{Addr: up.addr}}})
				if got := seen(r.ask(t, transport, "www.Example.org.", mdns.TypeA, nil)); got != "NOERROR 203.0.113.1" {
					t.Error(got)
				}
			})
		}
	}
}

func TestAnswersOfAnotherAddressAreNotTaken(t *testing.T) {
	needLab(t)
	real1, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	liar, err := net.ListenPacket("udp4", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = real1.Close(), liar.Close() })
	go func() {
		buf := make([]byte, 512)
		n, from, err := real1.ReadFrom(buf)
		if err != nil {
			return
		}
		var q mdns.Msg
		if err := q.Unpack(buf[:n]); err != nil {
			return
		}
		for _, s := range []struct {
			pc net.PacketConn
			ip string
		}{{liar, "192.0.2.66"}, {real1, "203.0.113.1"}} {
			b, err := says(s.ip)(&q)[0].Pack()
			if err == nil {
				_, _ = s.pc.WriteTo(b, from) // what the test waits for, or not
			}
		}
	}()
	r := run(t, &dns.Server{}, dns.Container{Upstreams: []dns.Upstream{{Addr: netip.MustParseAddrPort(real1.LocalAddr().String())}}})
	if got := seen(r.ask(t, "udp", "www.example.org.", mdns.TypeA, nil)); got != "NOERROR 203.0.113.1" {
		t.Error(got)
	}
}

func TestItselfIsNoUpstream(t *testing.T) {
	needLab(t)
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 11)})
	if err != nil {
		t.Fatal(err)
	}
	ap := netip.MustParseAddrPort(udp.LocalAddr().String())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	dialled := make(chan netip.AddrPort, 9)
	dial := func(_ context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
		dialled <- to
		return nil, net.ErrClosed
	}
	s := &dns.Server{}
	go func() {
		done <- s.Serve(ctx, dns.Container{UDP: udp, Upstreams: []dns.Upstream{{Addr: ap, Dial: dial}, {Addr: netip.MustParseAddrPort("127.0.0.11:53"), Dial: dial}, {Addr: netip.MustParseAddrPort("127.0.0.11:53"), Dial: dial, Host: true}}})
	}()
	r := &resolver{addr: ap.String()}
	if got := seen(r.ask(t, "udp", "www.example.org.", mdns.TypeA, nil)); got != "SERVFAIL" {
		t.Error(got)
	}
	if len(dialled) != 1 { // the host's own 127.0.0.11 is another one
		t.Errorf("%d upstreams were asked, want 1", len(dialled))
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestForwardsInFlightAreBounded(t *testing.T) {
	up := world(t, nil)
	s := &dns.Server{Records: records(small()), Limits: dns.Limits{Forwards: 20, Upstream: 2 * time.Second}}
	r := run(t, s, dns.Container{Upstreams: []dns.Upstream{{Addr: up.addr}}})
	conn, err := net.Dial("udp4", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	send := func(id uint16, name string) {
		m := new(mdns.Msg)
		m.SetQuestion(name, mdns.TypeA)
		m.Id = id
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 {
		send(uint16(i), "www.example.org.")
	}
	send(1000, "web.")
	var refused, local int
	start := time.Now()
	for refused+local < 11 && time.Since(start) < 10*time.Second {
		buf := make([]byte, 512)
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		var m mdns.Msg
		if err := m.Unpack(buf[:n]); err != nil {
			t.Fatal(err)
		}
		switch {
		case m.Id == 1000 && m.Rcode == mdns.RcodeSuccess:
			local++
		case m.Rcode == mdns.RcodeServerFailure && m.Id >= 20: // those beyond the limit, at once
			refused++
		default:
			t.Fatalf("id %d: %s, before those that were over the limit", m.Id, seen(&m))
		}
	}
	if refused != 10 || local != 1 {
		t.Errorf("%d SERVFAIL and %d local answers, want 10 and 1", refused, local)
	}
}
