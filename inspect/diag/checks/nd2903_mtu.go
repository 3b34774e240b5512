package checks

import (
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2903: a packet is too big for a device on the way.
//
// The packet is larger than the MTU of a device on the way and must not be cut
// (DF), or a veth hands over a frame that is larger than the other end takes,
// which is dropped without a word.
//
// See it by hand:
//
//	ip link show DEVICE                      mtu
//	ping -M do -s SIZE DST
//
// Sources: net/ipv4/ip_forward.c: ip_exceeds_mtu; drivers/net/veth.c; RFC 1191
func nd2903() diag.Check {
	return diag.Check{
		Code: "ND2903", Name: "too-big", Severity: diag.Error, Since: "0.1",
		Title:    "A packet is too big for a device on the way",
		CatchAll: true,
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseMTU) {
				if !owned(in, g.Where.Netns) {
					continue
				}
				f := placeFinding(in, g)
				f.Subject = diag.Subject{Kind: "link", Name: g.Where.Device, Netns: g.Where.Netns}
				if ns := in.Netns(g.Where.Netns); ns != nil {
					if l := ns.Link(g.Where.Device); l != nil {
						f.Evidence = append(f.Evidence, ev(ipIn(in, ns.ID, "link show "+l.Name), linkLine(l), snap.RefLink(ns.ID, l.Name)))
					}
				}
				f.Advice = "give the network the smaller MTU (docker network create -o com.docker.network.driver.mtu=…), or raise that device's"
				out = append(out, f)
			}
			return out
		},
	}
}
