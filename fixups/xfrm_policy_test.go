package fixups_test

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// xfrmCases are part of opCases.
func xfrmCases() []opCase {
	return []opCase{
		{"an IPsec policy is deleted", func(s *snap.Snapshot) fixups.Op {
			p := snap.XfrmPolicy{Family: snap.IPv4, Dir: "fwd", Src: pfx("172.30.1.0/24"), Dst: pfx("198.51.100.0/24"), Proto: 6, Dport: [2]uint16{443, 0xffff}, Index: 8, Priority: 5, Block: true, Mark: 16, Mask: 255}
			s.Ns("host").Xfrm = &snap.Xfrm{Policies: []snap.XfrmPolicy{p}}
			return &fixups.XfrmPolicyDel{Where: fixups.At(s, "host"), Policy: p}
		}, []string{"ip xfrm policy delete src 172.30.1.0/24 dst 198.51.100.0/24 proto 6 dport 443 dir fwd mark 0x10 mask 0xff"}, []string{
			"ip xfrm policy add src 172.30.1.0/24 dst 198.51.100.0/24 proto 6 dport 443 dir fwd mark 0x10 mask 0xff action block priority 5",
		}},
		{"a route with a hop limit is deleted", func(s *snap.Snapshot) fixups.Op {
			r := snap.Route{Family: snap.IPv4, Table: 254, Type: "unicast", Dst: pfx("203.0.113.0/24"), Gateway: ip("192.0.2.1"), Oif: 2, Scope: "global", Protocol: "boot", HopLimit: 9}
			n := s.Ns("host")
			n.Routes = append(n.Routes, r)
			return fixups.NewRouteDel(s, "host", r)
		}, []string{"ip route del 203.0.113.0/24 via 192.0.2.1 dev eth0 hoplimit 9"}, []string{"ip route add 203.0.113.0/24 via 192.0.2.1 dev eth0 hoplimit 9"}},
	}
}
