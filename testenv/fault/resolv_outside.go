package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func resolvOutside() Fault {
	return Fault{
		Name: "resolv-outside", Code: "ND4103", Title: "a container's resolv.conf names a server outside instead of its network's", Suffers: "web ? db",
		Break: one(func(v *victim) (fixups.Op, error) {
			return writeConf(v, "nameserver 198.51.100.53\n"), nil
		}),
	}
}
