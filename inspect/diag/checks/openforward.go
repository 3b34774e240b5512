package checks

import (
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// pastForward lets what containers send out past a port forwarding that was made without
// device and destination: a DNAT rule for a port that should take what is sent to this
// host, and takes what its containers send into the world as well. The rule stays, as
// somebody wants it. nil where it is no such rule, or that does not help.
func pastForward(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	p := w.Rule
	text, _ := in.RuleLine(w)
	if w.Netns != in.Snap.Host.Netns || len(f.Covers.Traces) == 0 || diag.Narrow(text) {
		return nil
	}
	forwards := slices.ContainsFunc(in.Flows[f.Covers.Traces[0]].Trace.NATed, func(m rules.NAT) bool {
		return m.Place != nil && m.Place.Ref == w.Ref && m.Kind == "dnat" && m.AddrMin.IsValid()
	})
	if !forwards {
		return nil
	}
	var ops []fixups.Op
	for _, br := range bridgesOf(in, f.Covers.Traces) {
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: max(p.Num, 1)}
		if p.System == snap.NFT {
			op.Text = `iifname "` + br + `" fib daddr type != local return`
		} else {
			op.Args = []string{"-i", br, "-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", "RETURN"}
		}
		ops = append(ops, op)
	}
	if len(ops) == 0 || !heals(in, f.Covers.Traces[0], ops) {
		return nil
	}
	return ops
}
