package fault_test

import (
	"net"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// TestXDPProgramIsTakenOff: a program that drops everything is found on the uplink
// with who holds it, is taken off, and given back by undo, the same program.
func TestXDPProgramIsTakenOff(t *testing.T) {
	h := alone(t)
	if h == nil {
		return
	}
	uplink := func() *snap.Link {
		t.Helper()
		return h.read().HostNs().Link("eth0")
	}
	dev, err := net.InterfaceByIndex(uplink().Index)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "drop_all", Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, // XDP_DROP
	})
	if err != nil {
		labtest.Lacking(t, "%v", err)
	}
	defer prog.Close()
	held, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: dev.Index, Flags: link.XDPGenericMode})
	if err != nil {
		labtest.Lacking(t, "%v", err)
	}
	defer held.Close()
	was := uplink().XDP
	if was == nil || was.Name != "drop_all" || was.Always != "drop" || was.Link == 0 || len(was.Holders) != 1 {
		t.Fatalf("the program reads as %+v", was)
	}
	r, err := h.app.Fix(t.Context(), app.FixOptions{Yes: true})
	if err != nil {
		t.Fatalf("fix: %v", err)
	}
	res, ok := r.(*v1.FixResult)
	if !ok || !res.Applied || !slices.ContainsFunc(res.Changes, func(c v1.Change) bool { return c.Finding == "ND1123" }) {
		t.Fatalf("fix gave %T: %+v", r, res)
	}
	if x := uplink().XDP; x != nil {
		t.Fatalf("after the fix there is %+v", x)
	}
	for _, id := range slices.Backward(res.Transactions) {
		if u, err := h.app.Undo(t.Context(), id); err != nil || len(u.Left) > 0 {
			t.Fatalf("undo %s: %v, left %v", id, err, u)
		}
	}
	if x := uplink().XDP; x == nil || x.ProgID != was.ProgID || x.Mode != was.Mode {
		t.Fatalf("after undo there is %+v, was %+v", x, was)
	}
}
