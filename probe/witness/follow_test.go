package witness

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestDeath(t *testing.T) {
	t.Parallel()
	see := func(what, netns, reason string) sighting {
		return sighting{Seen: snap.Seen{What: what, Netns: netns, Reason: reason}}
	}
	in, out := func(n string) sighting { return see(snap.SeenReceive, n, "") }, func(n string) sighting { return see(snap.SeenTransmit, n, "") }
	drop := func(n, why string) sighting { return see(snap.SeenDrop, n, why) }
	back := func(s sighting) sighting { s.Answer = true; return s }
	away := func(s sighting) sighting { s.out = true; return s }
	icmp := func(s sighting) sighting { s.ICMP = &snap.ICMPInfo{Type: 3}; return s }
	for _, tt := range []struct {
		name string
		all  []sighting
		want int
	}{
		{"nothing was seen", nil, -1},
		{"dropped on the way", []sighting{out("a"), in("host"), drop("host", "NETFILTER_DROP")}, 2},
		{"dropped by its own stack", []sighting{drop("a", "NETFILTER_DROP")}, 0},
		{"it came to a socket", []sighting{out("a"), in("host"), out("host"), in("b")}, -1},
		{"a copy to everybody, and one stayed", []sighting{out("a"), in("host"), out("host"), in("b"), out("host"), in("c"), drop("c", "OTHERHOST")}, -1},
		{"a copy to everybody, and none stayed", []sighting{out("a"), in("host"), out("host"), in("b"), drop("b", "IP_RPFILTER"), out("host"), in("c"), drop("c", "OTHERHOST")}, 4},
		{"nobody's MAC", []sighting{out("a"), in("host"), out("host"), in("b"), drop("b", "OTHERHOST")}, 4},
		{"it left this host, and a copy was dropped", []sighting{out("a"), in("host"), away(out("host")), drop("host", "NETFILTER_DROP")}, -1},
		{"held for a neighbour", []sighting{out("a"), in("host")}, -1},
		{"the answer died", []sighting{out("a"), in("b"), back(out("b")), back(in("host")), back(drop("host", "IP_RPFILTER"))}, 4},
		{"the question's copy died after the answer came", []sighting{out("a"), in("b"), back(out("b")), drop("c", "OTHERHOST")}, -1},
		{"an error about it was dropped", []sighting{out("a"), in("host"), icmp(back(drop("a", "NETFILTER_DROP")))}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := death(tt.all, hasAnswer(tt.all)); got != tt.want {
				t.Errorf("death at %d, want %d", got, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0xee, 0x48, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parse(b)
		if ok && (!p.src.Addr().IsValid() || p.quotes != nil && p.err == nil) {
			t.Errorf("parsed to %+v", p)
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	syn := []byte{0x45, 0, 0, 40, 0, 0, 0x40, 0, 63, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0xee, 0x48, 0, 80, 0, 0, 0, 0}
	unreachable := append([]byte{0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 254, 192, 0, 2, 1, 3, 4, 0, 0, 0, 0, 5, 0x78}, syn...)
	p, ok := parse(unreachable)
	if !ok || p.quotes == nil || p.err.MTU != 1400 || p.err.Code != 4 {
		t.Fatalf("parsed to %+v, %v", p, ok)
	}
	question, answer := p.of()
	if answer != (key{id: 61000}) || question != (key{id: 80}) {
		t.Errorf("question of %v, answer to %v", question, answer)
	}
	later := append([]byte(nil), syn...)
	later[7] = 1 // fragment offset: no ports in it
	if _, ok := parse(later); ok {
		t.Error("a later fragment was read as if it had ports")
	}
}
