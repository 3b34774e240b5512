package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func hostDefaultRouteGone() Fault {
	return Fault{
		Name: "host-default-route-gone", Code: "ND2105", Title: "the host's default route is deleted", Suffers: "web -> 198.51.100.20:80",
		Break: func(s *snap.Snapshot, _ string) ([]fixups.Op, error) {
			ns, _, r, err := host(s)
			if err != nil {
				return nil, err
			}
			return []fixups.Op{fixups.NewRouteDel(s, ns.ID, r)}, nil
		},
	}
}
