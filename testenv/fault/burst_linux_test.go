package fault_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// TestBurstComesBackAsItWas gives a token bucket another burst, and undoes that.
func TestBurstComesBackAsItWas(t *testing.T) {
	if !lab.Inside() {
		t.Parallel()
	}
	if !lab.Alone(t) {
		return
	}
	lab.New(t, lab.Default())
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
	a := app.New()
	read := func() (*snap.Snapshot, []snap.Qdisc) {
		t.Helper()
		s, err := a.Read(t.Context(), app.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s, s.HostNs().Link(dev).Qdiscs
	}
	s, was := read()
	if len(was) != 1 || was[0].RateBps != rate*8 || was[0].BurstBytes == 0 {
		t.Fatalf("disciplines %+v", was)
	}
	to := was[0]
	to.BurstBytes = 75_000
	ap := &apply.Applier{Dir: t.TempDir()}
	e, err := ap.Apply(t.Context(), s, apply.Tx{Ops: []fixups.Op{&fixups.QdiscBurst{Where: fixups.At(s, s.Host.Netns), Dev: dev, Qdisc: to}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, now := read(); len(now) != 1 || now[0].RateBps != to.RateBps || now[0].BurstBytes < 74_984 || now[0].BurstBytes > 75_000 {
		t.Fatalf("with another burst: %+v, want %+v", now, to)
	}
	if _, err := ap.Undo(t.Context(), e.Transactions[0]); err != nil {
		t.Fatal(err)
	}
	if _, now := read(); !cmp.Equal(was, now) {
		t.Errorf("after undo (-want +got):\n%s", cmp.Diff(was, now))
	}
}
