package fault_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestClassesComeBackWithTheirDiscipline takes an htb discipline with classes and a
// filter off, and undoes that.
func TestClassesComeBackWithTheirDiscipline(t *testing.T) {
	h := alone(t)
	if h == nil {
		return
	}
	const dev = "veth-client"
	l, err := netlink.LinkByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	at := func(major, minor uint16) uint32 { return netlink.MakeHandle(major, minor) }
	htb := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: at(1, 0), Parent: netlink.HANDLE_ROOT})
	htb.Defcls, htb.Rate2Quantum = 0x12, 5
	if err := netlink.QdiscAdd(htb); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		parent, id uint32
		rate, ceil uint64
	}{{at(1, 0), at(1, 1), 32_000, 32_000}, {at(1, 1), at(1, 0x12), 8000, 16_000}, {at(1, 1), at(1, 5), 100_000_000, 40_000_000_000}} {
		class := netlink.NewHtbClass(netlink.ClassAttrs{LinkIndex: l.Attrs().Index, Parent: c.parent, Handle: c.id}, netlink.HtbClassAttrs{Rate: c.rate, Ceil: c.ceil})
		if err := netlink.ClassAdd(class); err != nil {
			t.Fatal(err)
		}
	}
	filter := &netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: at(1, 0), Priority: 7, Protocol: unix.ETH_P_IP},
		ClassId:     at(1, 5),
		Sel:         &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Nkeys: 1, Keys: []netlink.TcU32Key{{Mask: 0xffff, Val: 5432, Off: 20}}},
	}
	if err := netlink.FilterAdd(filter); err != nil {
		t.Fatal(err)
	}
	s := h.read()
	was := s.HostNs().Link(dev)
	want := []snap.TCClass{{ID: at(1, 5), Parent: at(1, 1), RateBps: 100_000_000, CeilBps: 40_000_000_000}, {ID: at(1, 1), Parent: netlink.HANDLE_ROOT, RateBps: 32_000, CeilBps: 32_000}, {ID: at(1, 0x12), Parent: at(1, 1), RateBps: 8000, CeilBps: 16_000}}
	if len(was.Qdiscs) != 1 || was.Qdiscs[0].DefaultClass != at(1, 0x12) || len(was.Filters) != 1 {
		t.Fatalf("disciplines %+v, filters %+v", was.Qdiscs, was.Filters)
	}
	if d := cmp.Diff(want, was.Qdiscs[0].Classes); d != "" {
		t.Fatalf("classes (-want +got):\n%s", d)
	}
	if got := was.Qdiscs[0].AtMost(at(1, 0x12)); got != 16_000 {
		t.Errorf("1:12 sends %d bit/s at most, want 16000", got)
	}
	id := h.do(s, &fixups.QdiscDel{Where: fixups.At(s, s.Host.Netns), Dev: dev, Qdisc: was.Qdiscs[0]})
	if now := h.read().HostNs().Link(dev); len(now.Qdiscs) > 0 || len(now.Filters) > 0 {
		t.Fatalf("after it was taken off: %+v, %+v", now.Qdiscs, now.Filters)
	}
	h.undo(id)
	now := h.read().HostNs().Link(dev)
	if d := cmp.Diff([]any{was.Qdiscs, was.Filters}, []any{now.Qdiscs, now.Filters}); d != "" {
		t.Errorf("after undo (-want +got):\n%s", d)
	}
}
