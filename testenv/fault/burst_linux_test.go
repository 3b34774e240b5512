package fault_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/netdoctor/netdoctor/fixups"
)

// TestBurstComesBackAsItWas gives a token bucket another burst, and undoes that.
func TestBurstComesBackAsItWas(t *testing.T) {
	h := alone(t)
	if h == nil {
		return
	}
	const dev, rate = "veth-client", 60_000_000 / 8
	l, err := netlink.LinkByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	tbf := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate, Limit: 300_000, Buffer: 1200,
	}
	if err := netlink.QdiscAdd(tbf); err != nil {
		t.Fatal(err)
	}
	s := h.read()
	was := s.HostNs().Link(dev).Qdiscs
	if len(was) != 1 || was[0].RateBps != rate*8 || was[0].BurstBytes == 0 {
		t.Fatalf("disciplines %+v", was)
	}
	to := was[0]
	to.BurstBytes = 75_000
	id := h.do(s, &fixups.QdiscBurst{Where: fixups.At(s, s.Host.Netns), Dev: dev, Qdisc: to})
	if now := h.read().HostNs().Link(dev).Qdiscs; len(now) != 1 || now[0].RateBps != to.RateBps || now[0].BurstBytes < 74_984 || now[0].BurstBytes > 75_000 {
		t.Fatalf("with another burst: %+v, want %+v", now, to)
	}
	h.undo(id)
	if now := h.read().HostNs().Link(dev).Qdiscs; !cmp.Equal(was, now) {
		t.Errorf("after undo (-want +got):\n%s", cmp.Diff(was, now))
	}
}
