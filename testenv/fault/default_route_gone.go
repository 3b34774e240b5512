package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func defaultRouteGone() Fault {
	return Fault{
		Name: "default-route-gone", Code: "ND2103", Title: "a container's default route is deleted", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			r, err := defaultRoute(v.ns)
			return fixups.NewRouteDel(v.s, v.ns.ID, r), err
		}),
	}
}
