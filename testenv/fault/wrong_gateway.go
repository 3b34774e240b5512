package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func wrongGateway() Fault {
	return Fault{
		Name: "wrong-gateway", Code: "ND2104", Title: "a container's default route goes by an address where nobody is", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			r, err := defaultRoute(v.ns)
			if err != nil {
				return nil, err
			}
			r.Gateway = lastOf(v.ep.IPv4)
			return fixups.NewRouteReplace(v.s, v.ns.ID, r), nil
		}),
	}
}
