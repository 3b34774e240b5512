package checks

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// admitting says whether a rule is for all senders but some: to delete it would open what
// it closes for everybody.
func admitting(text string) bool {
	words := strings.Fields(text)
	for k := 1; k < len(words); k++ {
		if words[k-1] == "!" && slices.Contains([]string{"-s", "--match-set", "--src-range", "--mac-source"}, words[k]) || words[k-1] == "saddr" && words[k] == "!=" {
			return true
		}
	}
	return false
}

// admit lets the sender of a flow that a person asked for past such a rule, and nobody
// else; nil for those that nobody asked for.
func admit(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	var ops []fixups.Op
	for _, i := range f.Covers.Traces {
		fl := &in.Flows[i]
		if !fl.Asked || !fl.Flow.Src.IsValid() || len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		op := passing(in, w, fl.Flow.Src, "")
		if more := append(slices.Clone(ops), op); heals(in, i, more) {
			ops = more
		}
	}
	return ops
}

// passing is a rule right before a last word that lets one sender go on; to is what else
// it asks for, "" nothing.
func passing(in *diag.Input, w *sim.Where, from netip.Addr, to string) fixups.Op {
	p := w.Rule
	op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: max(p.Num, 1)}
	if p.System == snap.NFT {
		family := "ip"
		if from.Is6() {
			family = "ip6"
		}
		op.Text = strings.Join(strings.Fields(family+" saddr "+from.String()+" "+to+" accept"), " ")
		return op
	}
	op.Args = append([]string{"-s", from.String()}, strings.Fields(to)...)
	if p.Chain == "DOCKER-USER" { // the engine's own rules are to have their say
		op.Args = append(op.Args, "-j", "RETURN")
	} else {
		op.Args = append(op.Args, "-j", "ACCEPT")
	}
	return op
}
