package dns

import (
	"bytes"
	"net/netip"
	"testing"

	mdns "github.com/miekg/dns"
)

// fuzzZone knows a few names.
func fuzzZone() *Zone {
	n := NewNetwork("app", []Endpoint{
		{Names: []string{"web", "www"}, Addrs: []netip.Addr{netip.MustParseAddr("172.20.0.12"), netip.MustParseAddr("2001:db8::12")}},
	}, []Service{{Names: []string{"svc"}, Tasks: []netip.Addr{netip.MustParseAddr("172.20.0.21"), netip.MustParseAddr("172.20.0.22")}, Ports: []Port{{"http", "tcp", 80}}}})
	return &Zone{Networks: []*Network{n}, Links: map[string]string{"link": "web"}}
}

// FuzzQuery gives the resolver any packet: an answer is a message that another
// implementation reads, with the client's id, never longer than allowed, and
// there is none to what is itself an answer.
func FuzzQuery(f *testing.F) {
	for _, q := range []struct {
		name  string
		qtype uint16
		edns  uint16
	}{{"web.", mdns.TypeA, 0}, {"WWW.app.", mdns.TypeAAAA, 1232}, {"tasks.svc.", mdns.TypeA, 400}, {"_http._tcp.svc.", mdns.TypeSRV, 0}, {"12.0.20.172.in-addr.arpa.", mdns.TypePTR, 0}, {".", mdns.TypeNS, 4096}} {
		m := new(mdns.Msg)
		m.SetQuestion(q.name, q.qtype)
		m.Id = 7
		if q.edns > 0 {
			m.SetEdns0(q.edns, true)
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	z := fuzzZone()
	f.Fuzz(func(t *testing.T, msg []byte) {
		sb := &sandbox{Server: &Server{Records: fixed{z}}, limits: Limits{}.withDefaults()}
		var q query
		var r reply
		was := bytes.Clone(msg)
		for _, limit := range []int{0, tcpMax} {
			a, done := sb.decide(&q, &r, msg, limit)
			if !bytes.Equal(msg, was) {
				t.Fatal("the query was written to")
			}
			if a == nil {
				if done && len(msg) >= headerLen && msg[2]&bitQR == 0 {
					t.Fatalf("no answer to %x", msg)
				}
				if done {
					continue
				}
				a = failure(&q, &r)
			}
			if limit == 0 && len(a) > udpMax {
				t.Fatalf("%d octets by UDP", len(a))
			}
			var m mdns.Msg
			if err := m.Unpack(a); err != nil {
				t.Fatalf("%x is answered with %x: %v", msg, a, err)
			}
			if a[0] != msg[0] || a[1] != msg[1] || !m.Response {
				t.Fatalf("%x is answered with %x", msg, a)
			}
		}
	})
}

type fixed struct{ z *Zone }

func (f fixed) Zone(string) *Zone { return f.z }

// FuzzAnswer gives the forwarder any packet as an upstream's: what it takes is
// an answer to the question that was sent, and what it then cuts is readable.
func FuzzAnswer(f *testing.F) {
	m := new(mdns.Msg)
	m.SetQuestion("www.example.org.", mdns.TypeA)
	m.Id = 7
	sent, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	for _, edit := range []func(*mdns.Msg){
		func(*mdns.Msg) {},
		func(a *mdns.Msg) { a.Id++ },
		func(a *mdns.Msg) { a.Question[0].Name = "WWW.example.ORG." },
		func(a *mdns.Msg) { a.Rcode = mdns.RcodeServerFailure; a.Question = nil },
		func(a *mdns.Msg) {
			a.Compress = true
			for _, s := range []string{"www.example.org. 30 IN CNAME web.example.org.", "web.example.org. 30 IN A 203.0.113.9"} {
				rr, err := mdns.NewRR(s)
				if err != nil {
					f.Fatal(err)
				}
				a.Answer = append(a.Answer, rr)
			}
		},
	} {
		a := new(mdns.Msg)
		a.SetReply(m)
		edit(a)
		b, err := a.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var q query
		if rcode, ok := q.parse(sent); rcode != 0 || !ok {
			t.Fatal("the query is sound")
		}
		if !answers(b, sent, &q) {
			return
		}
		if b[0] != sent[0] || b[1] != sent[1] || b[2]&bitQR == 0 {
			t.Fatalf("%x was taken for an answer", b)
		}
		if len(b) < q.end {
			return // a bare header: not even read
		}
		var got mdns.Msg
		if err := got.Unpack(cut(bytes.Clone(b), q.end)); err != nil {
			t.Fatalf("cut from %x: %v", b, err)
		}
		if len(got.Question) != 1 || mdns.CanonicalName(got.Question[0].Name) != "www.example.org." || got.Question[0].Qtype != mdns.TypeA {
			t.Fatalf("%x answers %v", b, got.Question)
		}
	})
}

// FuzzReverse: what is read as an address is written as that name by another
// implementation, too.
func FuzzReverse(f *testing.F) {
	f.Add("12.0.20.172.in-addr.arpa")
	f.Add("2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa")
	f.Add("012.0.20.172.in-addr.arpa")
	f.Fuzz(func(t *testing.T, name string) {
		a, ok := reverse([]byte(name))
		if !ok {
			return
		}
		want, err := mdns.ReverseAddr(a.String())
		if err != nil {
			t.Fatal(err)
		}
		if want != name+"." {
			t.Fatalf("%q is read as %s, which is %q", name, a, want)
		}
	})
}
