package dns_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	mdns "github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/testenv/dns"
)

// seen is an answer in one line: the code and the sorted records.
func seen(m *mdns.Msg) string {
	var rr []string
	for _, r := range m.Answer {
		f := strings.Fields(r.String())
		rr = append(rr, strings.Join(f[4:], " "))
	}
	slices.Sort(rr)
	return strings.TrimSpace(mdns.RcodeToString[m.Rcode] + " " + strings.Join(rr, ","))
}

// The rules are those of docker-facts.md section 6, seen on real daemons; what
// goes to the world is answered 203.0.113.9 there.
func TestNamesAreAnsweredAsDockerDoes(t *testing.T) {
	up := world(t, says("203.0.113.9"))
	r := run(t, &dns.Server{Records: records(small())}, dns.Container{Upstreams: []dns.Upstream{{Addr: up.addr}}})
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
		asks  int64 // questions that reach the world
	}{
		{"web.", mdns.TypeA, "NOERROR 172.20.0.12", 0},
		{"WEB.", mdns.TypeA, "NOERROR 172.20.0.12", 0},
		{"web.", mdns.TypeAAAA, "NOERROR 2001:db8:20::12", 0},
		{"www.", mdns.TypeA, "NOERROR 172.20.0.12", 0},
		{"0123456789ab.", mdns.TypeA, "NOERROR 172.20.0.12", 0},
		{"web-host.", mdns.TypeA, "NOERROR 172.20.0.12", 0},
		{"web.app.", mdns.TypeA, "NOERROR 172.20.0.12", 0},
		{"web.App.", mdns.TypeA, "NOERROR 172.20.0.12", 0},
		{"a.b.", mdns.TypeA, "NOERROR 172.20.0.14", 0},
		{"a.b.app.", mdns.TypeA, "NOERROR 172.20.0.14", 0},
		{"store.data.net.", mdns.TypeA, "NOERROR 172.21.0.12", 0},
		{"store.app.", mdns.TypeA, "NOERROR 203.0.113.9", 1},
		{"db.", mdns.TypeA, "NOERROR 172.20.0.13", 0},
		{"db.", mdns.TypeAAAA, "NOERROR 2001:db8:21::13", 0},
		{"db.app.", mdns.TypeAAAA, "NOERROR", 0},
		{"client.", mdns.TypeA, "NOERROR 172.20.0.11", 0},
		{"client.data.net.", mdns.TypeA, "NOERROR 172.21.0.11", 0},
		{"client.", mdns.TypeAAAA, "NOERROR", 0},
		{"shared.", mdns.TypeA, "NOERROR 172.20.0.13,172.20.0.15", 0},
		{"mydb.", mdns.TypeA, "NOERROR 172.20.0.13", 0},
		{"cache.", mdns.TypeA, "NOERROR 172.20.0.12", 0}, // the link hides the container
		{"myservice.", mdns.TypeA, "NOERROR 172.20.0.100", 0},
		{"tasks.myservice.", mdns.TypeA, "NOERROR 172.20.0.21,172.20.0.22", 0},
		{"tasks.myservice.app.", mdns.TypeA, "NOERROR 172.20.0.21,172.20.0.22", 0},
		{"round.", mdns.TypeA, "NOERROR 172.20.0.31,172.20.0.32,172.20.0.33", 0},
		{"web.", mdns.TypeMX, "NOERROR", 0},
		{"web.", mdns.TypeTXT, "NOERROR", 1},
		{"web.", mdns.TypeSRV, "NOERROR", 1},
		{"web.", mdns.TypeANY, "NOERROR", 1},
		{"_http._tcp.myservice.", mdns.TypeSRV, "NOERROR 0 0 8080 myservice.app.", 0},
		{"_http._udp.myservice.", mdns.TypeSRV, "NOERROR", 1},
		{"12.0.20.172.in-addr.arpa.", mdns.TypePTR, "NOERROR web.app.", 0},
		{"12.0.21.172.in-addr.arpa.", mdns.TypePTR, "NOERROR store.data.net.", 0},
		{"99.0.20.172.in-addr.arpa.", mdns.TypePTR, "NOERROR", 1},
		{"2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", mdns.TypePTR, "NOERROR web.app.", 0},
		{"web.", mdns.TypeAXFR, "REFUSED", 0},
		{"stopped.", mdns.TypeA, "NOERROR 203.0.113.9", 1},
		{"www.example.org.", mdns.TypeA, "NOERROR 203.0.113.9", 1},
		{"w\\.eb.", mdns.TypeA, "NOERROR 203.0.113.9", 1},
		{".", mdns.TypeA, "NOERROR 203.0.113.9", 1},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(fmt.Sprint(c.name, mdns.TypeToString[c.qtype], " ", transport), func(t *testing.T) {
				before := up.asked.Load()
				a := r.ask(t, transport, c.name, c.qtype, nil)
				if diff := cmp.Diff(c.want, seen(a)); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				if got := up.asked.Load() - before; got != c.asks {
					t.Errorf("%d questions reached the world, want %d", got, c.asks)
				}
				if len(a.Question) != 1 || a.Question[0].Name != c.name {
					t.Errorf("the question came back as %v", a.Question)
				}
				if c.asks == 0 && (a.Authoritative || !a.RecursionAvailable || !a.RecursionDesired) {
					t.Errorf("flags are not qr rd ra: %v", a.MsgHdr)
				}
			})
		}
	}
}

func TestAServiceIsSpreadOverItsTasks(t *testing.T) {
	r := run(t, &dns.Server{Records: records(small())}, dns.Container{})
	first := map[string]int{}
	for range 300 {
		a := r.ask(t, "udp", "round.", mdns.TypeA, nil)
		first[a.Answer[0].(*mdns.A).A.String()]++
	}
	for _, ip := range []string{"172.20.0.31", "172.20.0.32", "172.20.0.33"} {
		if first[ip] < 50 { // 100 expected; 50 is 6 deviations off
			t.Errorf("%s came first %d times of 300", ip, first[ip])
		}
	}
}

func TestAChangeIsSeenByTheNextQuery(t *testing.T) {
	rec := records(small())
	r := run(t, &dns.Server{Records: rec}, dns.Container{})
	if got := seen(r.ask(t, "udp", "new.", mdns.TypeA, nil)); got != "SERVFAIL" {
		t.Fatal(got)
	}
	rec.zone.Store(&dns.Zone{Networks: []*dns.Network{dns.NewNetwork("app", []dns.Endpoint{{Names: []string{"new"}, Addrs: addrs("172.20.0.99")}}, nil)}})
	if got := seen(r.ask(t, "udp", "new.", mdns.TypeA, nil)); got != "NOERROR 172.20.0.99" {
		t.Fatal(got)
	}
}

func TestBigAnswersAreCutForUDP(t *testing.T) {
	var list []string
	for i := range 200 {
		list = append(list, fmt.Sprintf("172.20.1.%d", i))
	}
	z := &dns.Zone{Networks: []*dns.Network{dns.NewNetwork("app", []dns.Endpoint{{Names: []string{"many"}, Addrs: addrs(list...)}}, nil)}}
	r := run(t, &dns.Server{Records: records(z)}, dns.Container{})
	for _, c := range []struct {
		transport string
		edns      uint16
		most      int
		cut       bool
	}{
		{"udp", 0, 512, true}, {"udp", 1000, 1000, true}, {"udp", 4096, 1232, true}, {"tcp", 0, 65535, false},
	} {
		a := r.ask(t, c.transport, "many.", mdns.TypeA, func(m *mdns.Msg) {
			if c.edns > 0 {
				m.SetEdns0(c.edns, false)
			}
		})
		a.Compress = true // as it came
		if a.Truncated != c.cut || a.Len() > c.most || !c.cut && len(a.Answer) != 200 || c.cut && len(a.Answer) == 0 {
			t.Errorf("%s with EDNS %d: TC %v, %d records", c.transport, c.edns, a.Truncated, len(a.Answer))
		}
		if (a.IsEdns0() != nil) != (c.edns > 0) {
			t.Errorf("%s with EDNS %d: OPT %v", c.transport, c.edns, a.IsEdns0())
		}
	}
}
