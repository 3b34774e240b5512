package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func bridgeDown() Fault {
	return Fault{
		Name: "bridge-down", Code: "ND1101", Title: "a network's bridge is set down", Suffers: "client -> web:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return &fixups.LinkSet{Where: v.on(), Name: v.bridge.Name}, nil
		}),
	}
}
