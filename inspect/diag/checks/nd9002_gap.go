package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd9002: something could not be read.
//
// What netdoctor can't read it can't judge: it says so instead of taking it for
// absent. Most gaps come from missing privileges (run as root), or from a program or
// kernel module that is not there.
//
// See it by hand:
//
//	netdoctor capabilities
//
// Sources: capabilities(7), namespaces(7)
func nd9002() diag.Check {
	return diag.Check{
		Code: "ND9002", Name: "gap", Severity: diag.Info, Since: "0.1",
		Title: "Part of this host's state could not be read",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			type sort struct{ what, kind, needs string }
			first := map[sort]int{}
			for i, g := range in.Snap.Gaps {
				where := ""
				if g.Netns != "" {
					where = " of " + in.Who(g.Netns)
				}
				// What is missing everywhere for one reason is said once, with every
				// place as evidence: without privileges it is each namespace.
				k := sort{g.What, g.Kind, g.Needs}
				if at, ok := first[k]; ok {
					out[at].Evidence = append(out[at].Evidence, ev("netdoctor ls gaps", g.What+where+": "+g.Why, snap.RefGap(i)))
					continue
				}
				first[k] = len(out)
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("%s%s could not be read: %s", g.What, where, g.Why),
					Cause:    g.Why,
					Subject:  diag.Subject{Kind: "host", Name: g.What, Netns: g.Netns},
					Evidence: []diag.Evidence{ev("netdoctor ls gaps", g.Why, snap.RefGap(i))},
					Advice:   g.Needs,
				})
			}
			for i := range out {
				if n := len(out[i].Evidence); n > 1 {
					out[i].Summary += fmt.Sprintf(", and %d more like it", n-1)
				}
			}
			return out
		},
	}
}
