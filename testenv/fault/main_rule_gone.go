package fault

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func mainRuleGone() Fault {
	return Fault{
		Name: "main-rule-gone", Code: "ND2206", Title: "the routing rule that asks the main table is deleted in a container", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			for _, r := range v.ns.Rules {
				if r.Family == snap.IPv4 && r.Action == "table" && r.Table == snap.TableMain {
					return &fixups.PolicyRuleDel{Where: v.in(), Rule: r}, nil
				}
			}
			return nil, fmt.Errorf("the rule for the main table in %s: %w", v.ns.ID, snap.ErrNotFound)
		}),
	}
}
