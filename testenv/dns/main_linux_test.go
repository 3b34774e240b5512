package dns_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"github.com/netdoctor/netdoctor/testenv/dns"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// The tests talk over the loopback device of private namespaces.
func TestMain(m *testing.M) {
	if lab.Inside() {
		if err := loUp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(lab.M(m))
}

func loUp() error {
	h, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding lo: %w", err)
	}
	return h.LinkSetUp(lo)
}

func needLab(t testing.TB) {
	t.Helper()
	if lab.Inside() {
		return
	}
	if os.Getenv("ND_LAB") == "require" {
		t.Fatal("this machine makes no private namespaces")
	}
	t.Skip("this machine makes no private namespaces")
}

// table is a Records whose zone can be changed.
type table struct{ zone atomic.Pointer[dns.Zone] }

func (t *table) Zone(string) *dns.Zone { return t.zone.Load() }

func records(z *dns.Zone) *table {
	t := &table{}
	t.zone.Store(z)
	return t
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// small is a zone of two networks, as client sees it.
func small() *dns.Zone {
	app := dns.NewNetwork("app", []dns.Endpoint{
		{Names: []string{"client", "c11c11c11c11"}, Addrs: addrs("172.20.0.11")},
		{Names: []string{"web", "www", "0123456789ab", "Web-Host"}, Addrs: addrs("172.20.0.12", "2001:db8:20::12")},
		{Names: []string{"db", "shared"}, Addrs: addrs("172.20.0.13")},
		{Names: []string{"a.b"}, Addrs: addrs("172.20.0.14")},
		{Names: []string{"cache", "shared"}, Addrs: addrs("172.20.0.15")},
	}, []dns.Service{
		{Names: []string{"myservice"}, Virtual: addrs("172.20.0.100"), Tasks: addrs("172.20.0.21", "172.20.0.22"), Ports: []dns.Port{{Name: "http", Proto: "tcp", Port: 8080}}},
		{Names: []string{"round"}, Tasks: addrs("172.20.0.31", "172.20.0.32", "172.20.0.33")},
	})
	data := dns.NewNetwork("data.net", []dns.Endpoint{
		{Names: []string{"client"}, Addrs: addrs("172.21.0.11")},
		{Names: []string{"store"}, Addrs: addrs("172.21.0.12")},
		{Names: []string{"db"}, Addrs: addrs("2001:db8:21::13")},
	}, nil)
	return &dns.Zone{Networks: []*dns.Network{app, data}, Links: map[string]string{"mydb": "db", "cache": "web"}}
}

// pair opens a UDP and a TCP socket on one free port.
func pair(t testing.TB, ip string) (*net.UDPConn, *net.TCPListener) {
	t.Helper()
	var err error
	for range 20 { // a TCP client of another test may have the port
		var l *net.TCPListener
		if l, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: net.ParseIP(ip)}); err != nil {
			continue
		}
		var pc *net.UDPConn
		if pc, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip), Port: l.Addr().(*net.TCPAddr).Port}); err == nil {
			return pc, l
		}
		_ = l.Close() // not used
	}
	t.Fatal(err)
	return nil, nil
}

// resolver is a Server under test.
type resolver struct {
	addr string
	stop func()
}

// run serves a container on a loopback address of its own.
func run(t testing.TB, s *dns.Server, c dns.Container) *resolver {
	t.Helper()
	needLab(t)
	udp, tcp := pair(t, "127.0.0.11")
	c.UDP, c.TCP = udp, tcp
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, c) }()
	r := &resolver{addr: udp.LocalAddr().String()}
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Serve did not end with its context")
		}
	})
	t.Cleanup(r.stop)
	return r
}

// ask puts one question.
func (r *resolver) ask(t testing.TB, transport, name string, qtype uint16, edit func(*mdns.Msg)) *mdns.Msg {
	t.Helper()
	m := new(mdns.Msg)
	m.SetQuestion(name, qtype)
	if edit != nil {
		edit(m)
	}
	c := mdns.Client{Net: transport, Timeout: 15 * time.Second, UDPSize: 4096}
	a, _, err := c.Exchange(m, r.addr)
	if err != nil {
		t.Fatalf("%s %s by %s: %v", name, mdns.TypeToString[qtype], transport, err)
	}
	return a
}

// upstream is a name server of the world that does as answer says; nil: it
// says nothing. It counts the questions.
type upstream struct {
	addr  netip.AddrPort
	asked atomic.Int64
}

func world(t testing.TB, answer func(q *mdns.Msg) []*mdns.Msg) *upstream {
	t.Helper()
	needLab(t)
	pc, l := pair(t, "127.0.0.1")
	u := &upstream{addr: netip.MustParseAddrPort(pc.LocalAddr().String())}
	h := mdns.HandlerFunc(func(w mdns.ResponseWriter, q *mdns.Msg) {
		u.asked.Add(1)
		if answer == nil {
			return
		}
		for _, a := range answer(q) {
			_ = w.WriteMsg(a) // the resolver may be gone
		}
	})
	for _, s := range []*mdns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }() // ends by Shutdown
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return u
}

// says answers every A question with an address, every other one with nothing.
func says(addr string) func(*mdns.Msg) []*mdns.Msg {
	return func(q *mdns.Msg) []*mdns.Msg {
		m := new(mdns.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		if q.Question[0].Qtype == mdns.TypeA {
			m.Answer = []mdns.RR{&mdns.A{Hdr: mdns.RR_Header{Name: q.Question[0].Name, Rrtype: mdns.TypeA, Class: mdns.ClassINET, Ttl: 30}, A: net.ParseIP(addr)}}
		}
		return []*mdns.Msg{m}
	}
}

func code(rcode int) func(*mdns.Msg) []*mdns.Msg {
	return func(q *mdns.Msg) []*mdns.Msg {
		m := new(mdns.Msg)
		m.SetRcode(q, rcode)
		return []*mdns.Msg{m}
	}
}
