package fault

import (
	"github.com/netdoctor/netdoctor/fixups"
)

func resolvLoopback() Fault {
	return Fault{
		Name: "resolv-loopback", Code: "ND4102", Title: "a container's resolv.conf names a stub resolver that only the host has", Suffers: "web ? www.example.org",
		Break: one(func(v *victim) (fixups.Op, error) {
			return writeConf(v, "nameserver 127.0.0.53\n"), nil
		}),
	}
}
