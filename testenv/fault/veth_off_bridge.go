package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func vethOffBridge() Fault {
	return Fault{
		Name: "veth-off-bridge", Code: "ND1107", Title: "a container's veth is taken off its bridge", Suffers: "client -> web:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return &fixups.LinkMaster{Where: v.on(), Name: v.veth.Name}, nil
		}),
	}
}
