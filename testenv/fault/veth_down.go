package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func vethDown() Fault {
	return Fault{
		Name: "veth-down", Code: "ND1102", Title: "the host's end of a container's veth is set down", Suffers: "client -> web:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return &fixups.LinkSet{Where: v.on(), Name: v.veth.Name}, nil
		}),
	}
}
