package checks

import (
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
		p, from := w.Rule, fl.Flow.Src.String()
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: max(p.Num, 1)}
		switch {
		case p.System == snap.NFT && fl.Flow.Src.Is6():
			op.Text = "ip6 saddr " + from + " accept"
		case p.System == snap.NFT:
			op.Text = "ip saddr " + from + " accept"
		case p.Chain == "DOCKER-USER": // the engine's own rules are to have their say
			op.Args = []string{"-s", from, "-j", "RETURN"}
		default:
			op.Args = []string{"-s", from, "-j", "ACCEPT"}
		}
		if more := append(slices.Clone(ops), op); heals(in, i, more) {
			ops = more
		}
	}
	return ops
}
