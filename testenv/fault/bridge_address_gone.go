package fault

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func bridgeAddressGone() Fault {
	return Fault{
		Name: "bridge-address-gone", Code: "ND2102", Title: "a network's bridge loses its address", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			for _, a := range v.host.AddrsOf(v.bridge.Index) {
				if a.Prefix.Addr().Is4() {
					return &fixups.AddrDel{Where: v.on(), Dev: v.bridge.Name, Prefix: a.Prefix}, nil
				}
			}
			return nil, fmt.Errorf("an address of %s: %w", v.bridge.Name, snap.ErrNotFound)
		}),
	}
}
