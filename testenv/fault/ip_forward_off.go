package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func ipForwardOff() Fault {
	return Fault{
		Name: "ip-forward-off", Code: "ND2101", Title: "forwarding is turned off", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return &fixups.SysctlSet{Where: v.on(), Key: "net/ipv4/ip_forward", Value: "0"}, nil
		}),
	}
}
