package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
)

// nd4201: the way from 127.0.0.11:53 to the engine's socket is cut.
//
// 127.0.0.11:53 is no socket: rules in the container's own nat table (chain
// DOCKER_OUTPUT, or table docker-dns) send it to two random ports of 127.0.0.11 on
// which the daemon listens inside the container's namespace. A firewall script or
// an iptables restore in the container, or a failed set-up, removes them: then
// port 53 is "connection refused" although the daemon still listens.
//
// See it by hand:
//
//	nsenter -t PID -n iptables -t nat -S     DOCKER_OUTPUT is missing or empty
//	nsenter -t PID -n ss -lntup              dockerd's two ports on 127.0.0.11
//
// Sources: moby libnetwork/resolver_unix.go; libnetwork#1938, moby#35095
func nd4201() diag.Check {
	return diag.Check{
		Code: "ND4201", Name: "embedded-dns-nat-missing", Severity: diag.Error, Since: "0.1",
		Title: "The NAT rules of the embedded DNS are missing in a container's namespace",
		After: []diag.Code{"ND1104", "ND6201"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.DNATMissing, names.DNATDeadPort) {
				f := g.finding(in)
				f.Summary = fmt.Sprintf("%s cannot reach its embedded DNS 127.0.0.11: %s", in.Who(g.first.Ask.Netns), g.problem.Detail)
				f.Subject.Kind, f.Subject.Name = "resolver", in.Who(g.first.Ask.Netns)
				f.Weight = 70
				f.Advice = "restart the container: the engine then writes the rules again"
				if p, _ := takenBefore(in, g.first.Ask.Netns); p != nil {
					text, source := ruleText(in, g.first.Ask.Netns, p)
					f.Cause = fmt.Sprintf("rule %d of nat OUTPUT takes the questions before the jump to DOCKER_OUTPUT: %s", p.Num, text)
					f.Summary = fmt.Sprintf("%s cannot reach its embedded DNS 127.0.0.11: %s", in.Who(g.first.Ask.Netns), f.Cause)
					f.Evidence = []diag.Evidence{ev(source, text, p.Ref)}
					f.Advice = "find out who wrote the rule: it comes back with that program or script"
				}
				out = append(out, f)
			}
			return out
		},
		Fix: fixEmbeddedNAT,
	}
}
