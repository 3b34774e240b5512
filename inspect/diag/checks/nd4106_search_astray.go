package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/resolv"
)

// nd4106: a domain of the search list answers in the place of the name itself.
//
// A name with fewer dots than ndots is tried with each domain of the search list
// behind it before it is tried as it stands. Where such a domain answers to every
// name (a wildcard record, common in company zones), each outside name and each
// container's name becomes one of that domain, and connections go to whatever the
// wildcard points at. Docker writes ndots:0 so that this can't happen; a resolv.conf
// that was edited, --dns-search with --dns-option ndots, or a host's own ndots
// bring it back.
//
// See it by hand:
//
//	docker exec NAME cat /etc/resolv.conf    search DOMAIN, options ndots:5
//	dig NO-SUCH-NAME.DOMAIN                  has an address
//	dig NAME.DOMAIN; dig NAME                differ
//
// False positives: a company zone whose wildcard is meant for names without a dot
// (a warning, when it was asked for).
//
// Sources: resolv.conf(5) on ndots and search; RFC 4592 on wildcards;
// glibc resolv/res_query.c: __res_context_search
func nd4106() diag.Check {
	return diag.Check{
		Code: "ND4106", Name: "search-list-astray", Severity: diag.Error, Since: "0.2",
		Title:  "The search list leads names elsewhere than they lead by themselves",
		Detect: detectND4106,
		Fix:    fixSearch,
	}
}

func detectND4106(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range nameGroups(in, names.BadSearch) {
		if g.problem.Domain == "" {
			continue // the list ends too early, and a server is to blame for that
		}
		f := g.finding(in)
		who := in.Who(g.first.Ask.Netns)
		domain, answers := g.problem.Domain, strings.Join(g.problem.Answers, ", ")
		switch {
		case g.first.Listed:
			f.Summary = fmt.Sprintf("the search list of %s leads outside names astray: NAME becomes NAME.%s, which is %s whatever NAME is", who, domain, answers)
		case strings.Contains(g.problem.Detail, " has no such name"):
			f.Severity, f.Covers, f.Asked = diag.Warning, diag.Cover{}, g.first.Asked // it does resolve
			f.Summary = fmt.Sprintf("%s asked by %s is answered by a wildcard: %s", g.first.Ask.Name, who, g.problem.Detail)
		default:
			f.Summary = fmt.Sprintf("%s asked by %s%s goes astray: %s", g.first.Ask.Name, who, g.more(), g.problem.Detail)
		}
		f.Subject = diag.Subject{Kind: "resolver", Name: who, Netns: g.first.Ask.Netns}
		f.Advice = searchAdvice(in, g.first, domain)
		f.Weight = 64
		out = append(out, f)
	}
	return out
}

// searchAdvice says where a domain of the search list comes from, and what
// keeps it from being tried first.
func searchAdvice(in *diag.Input, n *diag.NameCase, domain string) string {
	c, host, r := in.Snap.Container(n.Ask.Container), in.Snap.Resolver("host"), resolverOf(in, n)
	option, lower, set := ", or with --dns-option ndots:0", ", or lower ndots there,", ", or set options ndots:0"
	if r == nil || strings.Count(strings.Trim(n.Ask.Name, "."), ".") >= r.ResolvConf.Ndots || strings.Contains(n.Path.Problem.Detail, " has no such name") {
		// The name as it stands was tried first, or is not there: no ndots changes that.
		option, lower, set = "", "", ""
	}
	switch {
	case c != nil && slices.Contains(c.DNSSearch, domain):
		return fmt.Sprintf("make %s again without --dns-search %s (compose: dns_search)%s", c.Name, domain, option)
	case c != nil && host != nil && slices.Contains(host.ResolvConf.Search, domain):
		return fmt.Sprintf("take %s out of the search line of the host's /etc/resolv.conf%s and restart %s; or run it with --dns-search .", domain, lower, c.Name)
	}
	return "take " + domain + " out of the search line of /etc/resolv.conf" + set
}

// fixSearch writes the engine's own resolv.conf where that leaves the domain out,
// or asks for the name as it stands first.
func fixSearch(in *diag.Input, f *diag.Finding) []fixups.Op {
	if len(f.Covers.Names) == 0 {
		return nil
	}
	advice := f.Advice
	n := &in.Names[f.Covers.Names[0]]
	ops := fixResolvConf(in, f)
	f.Advice = advice
	if len(ops) != 1 {
		return nil
	}
	w, ok := ops[0].(*fixups.FileWrite)
	if !ok {
		return nil
	}
	conf := resolv.ParseResolvConf([]byte(w.Content))
	if slices.Contains(conf.Search, n.Path.Problem.Domain) && conf.Ndots > strings.Count(n.Ask.Name, ".") {
		return nil
	}
	return ops
}
