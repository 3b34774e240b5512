package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
)

// nd4302: the first server is dead, a later one answers.
func nd4302() diag.Check {
	return diag.Check{
		Code: "ND4302", Name: "first-dns-server-dead", Severity: diag.Warning, Since: "0.1",
		Title: "The first DNS server does not answer: every name takes seconds",
		Doc: `Servers are asked in order, and each that stays silent costs its time-out: 5 s in
glibc, 4 s in Docker's resolver. Names resolve in the end, but programs with
shorter patience fail, and all others are slow.

See it by hand:
    time docker exec NAME getent hosts example.com
    dig @FIRST example.com

Sources: resolv.conf(5); moby libnetwork/resolver.go: extIOTimeout`,
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.FirstServerDead) {
				f := g.finding(in)
				f.Summary = fmt.Sprintf("the first DNS server of %s, %s, does not answer: each name waits for its time-out", in.Who(g.first.Ask.Netns), g.problem.Server.Addr())
				f.Advice = fmt.Sprintf("remove %s from the list of servers, or put it last", g.problem.Server.Addr())
				if g.first.Asked {
					f.Severity = diag.Error
				}
				out = append(out, f)
			}
			return out
		},
	}
}
