package app

import (
	"context"
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
)

// testSizes: a trace measures the largest packet that its way carries, and a
// TCP connection of a given size is tried with that much.
func testSizes(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("NETDOCTOR_JOURNAL", dir)
	run := func(t *testing.T, o TraceOptions) (verdict string, fits, tooBig int, proved bool) {
		t.Helper()
		r, err := New().Trace(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if m := r.PathMTU; m != nil {
			fits, tooBig = m.FitsBytes, m.TooBigBytes
		}
		f := finding(r.Findings, "ND7101")
		return r.Verdict, fits, tooBig, f != nil && f.Confidence == "proved"
	}
	small, big := TraceOptions{From: "client", To: "172.20.0.13:5432"}, TraceOptions{From: "client", To: "172.20.0.13:5432", Size: 1440}
	if v, fits, tooBig, _ := run(t, small); v != "delivered" || fits != 1500 || tooBig != 0 {
		t.Errorf("%s, %d bytes fit and %d do not; want all of 1500 to", v, fits, tooBig)
	}
	if v, _, _, _ := run(t, big); v != "delivered" {
		t.Errorf("1440 bytes over TCP: %s, want delivered", v)
	}
	s, err := New().Read(t.Context(), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ap := apply.Applier{Dir: dir}
	op := &fixups.LinkMTU{Where: fixups.At(s, s.Host.Netns), Name: "veth-client", MTU: 1400}
	if _, err := ap.Apply(t.Context(), s, apply.Tx{ID: "test", Ops: []fixups.Op{op}}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := ap.Undo(context.Background(), ""); err != nil {
			t.Error(err)
		}
	}()
	// A veth takes a VLAN tag more than its MTU (net/core/dev.c:is_skb_forwardable).
	v, fits, tooBig, proved := run(t, small)
	if v != "delivered" || fits < 1400 || fits > 1404 || tooBig != fits+1 || !proved {
		t.Errorf("%s, %d bytes fit and %d do not, ND7101 proved %v; want 1400 to 1404, and the next not", v, fits, tooBig, proved)
	}
	if v, _, _, _ := run(t, big); v != "dropped" {
		t.Errorf("1440 bytes over TCP: %s, want dropped", v)
	}
}
