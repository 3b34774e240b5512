package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func resolvEmpty() Fault {
	return Fault{
		Name: "resolv-empty", Code: "ND4101", Title: "a container's resolv.conf is emptied", Suffers: "web ? www.example.org",
		Break: one(func(v *victim) (fixups.Op, error) {
			return writeConf(v, ""), nil
		}),
	}
}
