package probe

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Entries that a question led to are taken away; those that were there are kept.
func TestForgetTakesAwayWhatAQuestionLeftBehind(t *testing.T) {
	a, b := newRoom(t, "a"), newRoom(t, "b")
	a.n.Class, b.n.Class = snap.ClassHost, snap.ClassContainer
	cable(a, "eth0", b, "eth0", 1500)
	a.addr("eth0", "192.0.2.1/24")
	b.addr("eth0", "192.0.2.2/24", "192.0.2.3/24")
	known := func(r *room) map[string]bool {
		t.Helper()
		list, err := r.h.NeighList(0, netlink.FAMILY_V4)
		r.must(err)
		out := map[string]bool{}
		for i := range list {
			out[list[i].IP.String()] = true
		}
		return out
	}
	p := &Prober{}
	ask := func(dst string) Question {
		return Question{Kind: "icmp", From: a.n, Dst: netip.AddrPortFrom(netip.MustParseAddr(dst), 0)}
	}
	p.Run(t.Context(), []Question{ask("192.0.2.2")})
	l, err := a.h.LinkByName("eth0")
	a.must(err)
	a.n.Neighs = []snap.Neigh{{Index: l.Attrs().Index, IP: netip.MustParseAddr("192.0.2.2")}} // was there when it was read
	qs := []Question{ask("192.0.2.2"), ask("192.0.2.3")}
	for _, r := range p.Run(t.Context(), qs) {
		if r.Outcome != snap.Answered {
			t.Fatalf("%s: %s", r.Dst, r.Outcome)
		}
	}
	if k := known(a); !k["192.0.2.3"] || !known(b)["192.0.2.1"] {
		t.Fatalf("the questions led to no entries: %v", k)
	}
	if err := p.Forget(&snap.Snapshot{Netns: []snap.Netns{*a.n, *b.n}}, qs); err != nil {
		t.Fatal(err)
	}
	if k := known(a); k["192.0.2.3"] || !k["192.0.2.2"] {
		t.Errorf("in a there is %v, want what was there before", k)
	}
	if k := known(b); k["192.0.2.1"] {
		t.Errorf("in b there is %v still", k)
	}
}
