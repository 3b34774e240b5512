package checks

import (
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// nd3103: a firewall rule drops the answers.
func nd3103() diag.Check {
	return diag.Check{
		Code: "ND3103", Name: "rule-drops-replies", Severity: diag.Error, Since: "0.1",
		Title: "A firewall rule drops the answers of connections that were let out",
		Doc: `The request leaves, the answer comes back, and a rule drops it. An allow-list
such as "-i eth0 ! -s 192.168.50.0/24 -j DROP" in DOCKER-USER is meant for new
connections to published ports, but it matches the answers of the containers'
own connections, too, because no rule before it lets RELATED,ESTABLISHED pass.

See it by hand:
    iptables -L DOCKER-USER -nv --line-numbers   the DROP counts while the request goes out
    iptables -I DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN   mends it

Sources: docs.docker.com, packet filtering and firewalls; iptables-extensions(8), conntrack`,
		After: []diag.Code{"ND6101", "ND2205", "ND3205"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseRule) {
				if g.Where.Reply && owned(in, g.Where.Netns) {
					f := ruleFinding(in, g)
					f.Cause += "; no rule before it accepts established connections"
					out = append(out, f)
				}
			}
			return out
		},
		Fix: fixReplies,
	}
}
