package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func wrongNeighbour() Fault {
	return Fault{
		Name: "wrong-neighbour", Code: "ND2303", Title: "a container gets a permanent neighbour entry with a wrong MAC address for its gateway", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return &fixups.NeighSet{Where: v.in(), Dev: v.eth.Name, Neigh: snap.Neigh{IP: v.ep.Gateway4, MAC: "02:00:00:00:00:99", State: "permanent"}}, nil
		}),
	}
}
