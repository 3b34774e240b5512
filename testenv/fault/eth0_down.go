package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func eth0Down() Fault {
	return Fault{
		Name: "eth0-down", Code: "ND1103", Title: "a container's device is set down", Suffers: "client -> web:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return &fixups.LinkSet{Where: v.in(), Name: v.eth.Name}, nil
		}),
	}
}
