package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// nd3103: a firewall rule drops the answers.
//
// The request leaves, the answer comes back, and a rule drops it. An allow-list
// such as "-i eth0 ! -s 192.168.50.0/24 -j DROP" in DOCKER-USER is meant for new
// connections to published ports, but it matches the answers of the containers'
// own connections, too, because no rule before it lets RELATED,ESTABLISHED pass.
// Docker 28 and newer drop in raw PREROUTING what comes to a container's own address
// by another device: a network without masquerade that is not in gateway mode
// "routed" has no answers since.
//
// See it by hand:
//
//	iptables -L DOCKER-USER -nv --line-numbers   the DROP counts while the request goes out
//	iptables -I DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN   mends it
//
// Sources: docs.docker.com, packet filtering and firewalls; iptables-extensions(8), conntrack; moby daemon/libnetwork/drivers/bridge
func nd3103() diag.Check {
	return diag.Check{
		Code: "ND3103", Name: "rule-drops-replies", Severity: diag.Error, Since: "0.1",
		Title: "A firewall rule drops the answers of connections that were let out",
		After: []diag.Code{"ND6101", "ND2203", "ND2205", "ND3205"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseRule) {
				if g.Where.Reply && !diag.Deaf(in.Flows[g.Flows[0]].Trace) && owned(in, g.Where.Netns) {
					f := ruleFinding(in, g)
					if n := in.Fence(g.Where); n != nil {
						f.Cause = fmt.Sprintf("the network %s has no masquerade, so answers come to its members' own addresses, and Docker closes those to whatever does not come by %s", n.Name, n.Bridge)
					} else if !picks(in, &f) {
						f.Cause += "; no rule before it accepts established connections"
					}
					out = append(out, f)
				}
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if n := in.Fence(in.Flows[f.Covers.Traces[0]].Trace.Where); n != nil {
				f.Advice = fmt.Sprintf("make %s again with -o com.docker.network.bridge.gateway_mode_ipv4=routed, or start dockerd with --allow-direct-routing; or let it masquerade", n.Name)
				return nil
			}
			return fixReplies(in, f)
		},
	}
}
