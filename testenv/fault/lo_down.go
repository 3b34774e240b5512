package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func loDown() Fault {
	return Fault{
		Name: "lo-down", Code: "ND1104", Title: "a container's loopback is set down", Suffers: "web -> 127.0.0.1:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return &fixups.LinkSet{Where: v.in(), Name: "lo"}, nil
		}),
	}
}
