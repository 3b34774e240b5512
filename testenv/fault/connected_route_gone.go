package fault

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func connectedRouteGone() Fault {
	return Fault{
		Name: "connected-route-gone", Code: "ND2207", Title: "the host's route to a network's bridge is deleted", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			for _, r := range v.host.Routes {
				if r.Family == snap.IPv4 && r.Table == snap.TableMain && r.Oif == v.bridge.Index && r.Protocol == "kernel" {
					return fixups.NewRouteDel(v.s, v.host.ID, r), nil
				}
			}
			return nil, fmt.Errorf("a route to %s: %w", v.bridge.Name, snap.ErrNotFound)
		}),
	}
}
