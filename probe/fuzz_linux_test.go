package probe

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// FuzzCheck feeds bytes of the network to the DNS check: it must not panic,
// and must believe nothing with a wrong id or another question.
func FuzzCheck(f *testing.F) {
	q, err := query(Options{Name: "web.example.org"})
	if err != nil {
		f.Fatal(err)
	}
	q.Id = 0x1234
	b, err := q.Pack()
	if err != nil {
		f.Fatal(err)
	}
	good, err := reply(b).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(b)
	f.Add([]byte{0x12, 0x34, 0x80})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, bad := check(q, b)
		if (m == nil) == (bad == "") {
			t.Fatalf("message %v and complaint %q", m, bad)
		}
		if m == nil {
			return
		}
		if m.Id != q.Id || !m.Response {
			t.Fatalf("believed id %d, response %v", m.Id, m.Response)
		}
		if len(m.Question) > 0 && m.Question[0].Qtype != dns.TypeA {
			t.Fatalf("believed another question: %v", m.Question)
		}
		fill(&snap.DNSProbe{}, m)
	})
}

// FuzzLinkAnswers feeds bytes of the link and of the error queue.
func FuzzLinkAnswers(f *testing.F) {
	v4, v6 := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9")
	own, other := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}
	f.Add(arpRequest(other, v4, v4))
	f.Add(arpRequest(own, v4, v4))
	na := append([]byte{ndAdvert, 0, 0, 0, 0x60, 0, 0, 0}, v6.AsSlice()...)
	f.Add(append(append(na, 2, 1), other[:]...))
	f.Add(echo{id: 7, data: token(0)}.packet())
	f.Add(make([]byte, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		if mac, ok := arpAnswer(b, own, v4); ok && mac == "02:00:00:00:00:01" {
			t.Fatal("took its own question for an answer")
		}
		ndAnswer(b, v6)
		parseExtErr(b)
		e := echo{id: 7, data: token(0)}
		e.answeredBy(b)
		e.quotedBy(b)
		echo{v6: true, id: 7, data: token(0)}.answeredBy(b)
	})
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	b := echo{id: 7, seq: 1, data: token(17)}.packet()
	if got := checksum(b); got != 0 {
		t.Errorf("the sum over a packet with its checksum is %#x, want 0 (RFC 1071)", got)
	}
}
