package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func masqueradeGone() Fault {
	return Fault{
		Name: "masquerade-gone", Code: "ND3204", Title: "a network's masquerade rule is deleted", Suffers: "web -> 198.51.100.20:80",
		Break: func(s *snap.Snapshot, target string) ([]fixups.Op, error) {
			v, err := find(s, target)
			if err != nil {
				return nil, err
			}
			pool := v.ep.IPv4.Masked().Addr().AsSlice()
			return deleteRules(s, "a masquerade rule of "+v.net.Name, func(_ *snap.Chain, r *snap.Rule) bool {
				return masquerades(r) && mentions(r, pool[:v.ep.IPv4.Bits()/8])
			})
		},
	}
}
