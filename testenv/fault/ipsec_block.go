package fault

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func ipsecBlock() Fault {
	return Fault{
		Name: "ipsec-block", Code: "ND2211", Title: "an IPsec policy in a container blocks a part of the world", Suffers: "web -> 198.51.100.20:80",
		Break: one(func(v *victim) (fixups.Op, error) {
			return &fixups.XfrmPolicyAdd{Where: v.in(), Policy: snap.XfrmPolicy{
				Family: snap.IPv4, Dir: "out", Src: netip.MustParsePrefix("0.0.0.0/0"), Dst: netip.MustParsePrefix("198.51.100.0/24"), Block: true,
			}}, nil
		}),
	}
}
