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
		for _, op := range passing(in, w, fl.Flow.Src, "") {
			if more := append(slices.Clone(ops), op); heals(in, i, more) {
				ops = more
				break
			}
		}
	}
	return ops
}

// passing are the rules right before a last word, one of which lets a sender go on; to is
// what else they ask for, "" nothing. In a chain that others jump to the first leaves the
// word to whatever comes after that jump.
func passing(in *diag.Input, w *sim.Where, from netip.Addr, to string) []fixups.Op {
	var out []fixups.Op
	p := w.Rule
	words := []string{"RETURN", "ACCEPT"}
	switch {
	case p.ChainP.Base():
		words = words[1:]
	case p.Chain == "DOCKER-USER": // the engine's own rules are to have their say
		words = words[:1]
	}
	for _, word := range words {
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: max(p.Num, 1)}
		if p.System == snap.NFT {
			family := "ip"
			if from.Is6() {
				family = "ip6"
			}
			op.Text = strings.Join(strings.Fields(family+" saddr "+from.String()+" "+to+" "+strings.ToLower(word)), " ")
		} else {
			op.Args = slices.Concat([]string{"-s", from.String()}, strings.Fields(to), []string{"-j", word})
		}
		out = append(out, op)
	}
	return out
}
