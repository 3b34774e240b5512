package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func forwardAcceptGone() Fault {
	return Fault{
		Name: "forward-accept-gone", Code: "ND3101", Title: "the rules that let a network's packets be forwarded are deleted, and the policy drops", Suffers: "web -> 198.51.100.20:80",
		Break: func(s *snap.Snapshot, target string) ([]fixups.Op, error) {
			v, err := find(s, target)
			if err != nil {
				return nil, err
			}
			name := []byte(v.bridge.Name + "\x00")
			return deleteRules(s, "a rule that accepts what comes from "+v.bridge.Name, func(ch *snap.Chain, r *snap.Rule) bool {
				return ch.Hook == "forward" && ends(r, "accept") && mentions(r, name)
			})
		},
	}
}
