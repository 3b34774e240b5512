package fault

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func blackholeRoute() Fault {
	return Fault{
		Name: "blackhole-route", Code: "ND2201", Title: "a container gets a blackhole route for a part of the world", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return fixups.NewRouteAdd(v.s, v.ns.ID, snap.Route{
				Family: snap.IPv4, Table: snap.TableMain, Type: "blackhole", Dst: netip.MustParsePrefix("198.51.100.0/24"), Scope: "global", Protocol: "boot",
			}), nil
		}),
	}
}
