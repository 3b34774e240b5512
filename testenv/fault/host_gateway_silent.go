package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hostGatewaySilent leads the host's default route by an address of the gateway's
// subnet that nobody has.
func hostGatewaySilent() Fault {
	return Fault{
		Name: "host-gateway-silent", Code: "ND2305", Title: "the host's default route names a gateway that is not there", Suffers: "web -> 198.51.100.20:80",
		Break: func(s *snap.Snapshot, _ string) ([]fixups.Op, error) {
			ns, _, r, err := host(s)
			if err != nil {
				return nil, err
			}
			for _, a := range ns.AddrsOf(r.Oif) {
				if a.Prefix.Contains(r.Gateway) {
					r.Gateway = snap.LastAddr(a.Prefix.Masked()).Prev()
					return []fixups.Op{fixups.NewRouteReplace(s, ns.ID, r)}, nil
				}
			}
			return nil, snap.ErrNotFound
		},
	}
}
