package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
)

// nd4107: names of the search list are waited for in vain.
//
// A name with fewer dots than ndots is tried with each domain of the search list
// behind it first. Where the name servers of such a domain are gone (a company that
// was left, a VPN that is down), the resolver gets no answer and waits, for every
// name, before it asks for the name as it stands. musl gives up there and never
// asks for it.
//
// See it by hand:
//
//	docker exec NAME cat /etc/resolv.conf    search DOMAIN, options ndots:5
//	dig www.example.com.DOMAIN               no answer, or SERVFAIL after seconds
//	dig www.example.com                      at once
//
// Sources: resolv.conf(5) on ndots and search; glibc resolv/res_query.c:
// __res_context_search; musl src/network/lookup_name.c: name_from_dns_search
func nd4107() diag.Check {
	return diag.Check{
		Code: "ND4107", Name: "search-list-slow", Severity: diag.Error, Since: "0.2",
		Title: "Each name first waits for a domain of the search list that nobody answers for",
		After: []diag.Code{"ND4301"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.SlowSearch) {
				f := g.finding(in)
				who := in.Who(g.first.Ask.Netns)
				what := g.first.Ask.Name
				if g.first.World {
					what = "a name of the Internet"
				}
				f.Summary = fmt.Sprintf("%s asked by %s%s waits %s for the search domain %s, which nobody answers for, before it is asked as it stands",
					what, who, g.more(), g.problem.Wait, g.problem.Domain)
				f.Subject = diag.Subject{Kind: "resolver", Name: who, Netns: g.first.Ask.Netns}
				f.Advice = searchAdvice(in, g.first, g.problem.Domain)
				f.Weight = 63
				out = append(out, f)
			}
			return out
		},
		Fix: fixSearch,
	}
}
