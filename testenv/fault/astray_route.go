package fault

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func astrayRoute() Fault {
	return Fault{
		Name: "astray-route", Code: "ND2205", Title: "a container gets a route for a part of the world by an address where nobody is", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return fixups.NewRouteAdd(v.s, v.ns.ID, snap.Route{
				Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: netip.MustParsePrefix("198.51.100.0/24"), Scope: "global", Protocol: "boot",
				Oif: v.eth.Index, Gateway: lastOf(v.ep.IPv4),
			}), nil
		}),
	}
}
