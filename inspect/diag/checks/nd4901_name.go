package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
)

// nd4901 names whatever keeps a name from resolving that no other check explains.
func nd4901() diag.Check {
	return diag.Check{
		Code: "ND4901", Name: "name-fails", Severity: diag.Error, Since: "0.1",
		Title: "A name does not resolve, or resolves wrongly",
		Doc: `The way of the name ends in a wrong or empty answer: no server knows it, a line in
/etc/hosts overrides it, or the resolver that should know it is not there.

See it by hand:
    docker exec NAME getent hosts myservice
    netdoctor dns myservice --from NAME      every step and every answer

Sources: nsswitch.conf(5), hosts(5), resolv.conf(5)`,
		After: []diag.Code{"ND1104", "ND4101", "ND4102", "ND4103", "ND4201", "ND6201"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.NoSuchName, names.AardvarkDead, names.Port53Taken, names.LoDown) {
				f := g.finding(in)
				f.Summary = fmt.Sprintf("%s asked by %s: %s", g.first.Ask.Name, in.Who(g.first.Ask.Netns), g.problem.Detail)
				f.Advice = "netdoctor dns " + g.first.Ask.Name + " --from " + in.Who(g.first.Ask.Netns)
				out = append(out, f)
			}
			return out
		},
	}
}
