package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
)

// nd4304: a name server is its own upstream.
//
// A server that is its own upstream asks itself what it does not know, until it or
// the one who asked gives up. It comes about when the host's resolv.conf names a DNS
// server that runs in a container of this host (Pi-hole, AdGuard, dnsmasq): its own
// resolv.conf is made from the host's and leads back to it, and after a restart the
// two wait for each other. --dns 127.0.0.11 makes Docker's own resolver such a server.
//
// See it by hand:
//
//	cat /etc/resolv.conf                     names this host or a container
//	docker exec DNS cat /etc/resolv.conf     leads back to DNS
//	dig @SERVER example.com                  no answer, or SERVFAIL
//
// False positives: a server with upstreams of its own configuration that are dead:
// it is silent, too, and its resolv.conf leads back to it without being used.
//
// Sources: coredns plugin/loop/README.md; moby daemon/libnetwork/resolver.go
func nd4304() diag.Check {
	return diag.Check{
		Code: "ND4304", Name: "dns-forward-loop", Severity: diag.Error, Since: "0.2",
		Title: "A name server forwards to itself",
		After: []diag.Code{"ND1101", "ND1103", "ND1108", "ND3101", "ND3102", "ND3103"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.ForwardLoop) {
				f := g.finding(in)
				who := in.Who(g.first.Ask.Netns)
				f.Summary = fmt.Sprintf("names that %s asks%s go round in a loop: %s", who, g.more(), g.problem.Detail)
				f.Subject = diag.Subject{Kind: "address", Name: g.problem.Server.Addr().String()}
				f.Advice = "name a server outside as its upstream"
				if c := in.Snap.Container(g.problem.Container); c != nil {
					f.Advice = fmt.Sprintf("give %s upstream servers outside of this host, in its own configuration or by --dns (compose: dns:), and restart it", c.Name)
				} else if c := in.Snap.Container(g.first.Ask.Container); c != nil && len(c.DNS) > 0 {
					f.Advice = fmt.Sprintf("make %s again with --dns (compose: dns:) of a server outside, or without it", c.Name)
				}
				for i := range in.Flows {
					if a := &in.Flows[i]; a.Flow.Dport == 53 && a.Flow.Dst == g.problem.Server.Addr() && !g.problem.Server.Addr().IsLoopback() {
						f.Covers.Traces = append(f.Covers.Traces, i)
					}
				}
				f.Weight = 62
				out = append(out, f)
			}
			return out
		},
	}
}
