package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
)

// nd4305: a server answers one question and not its twin.
//
// Programs ask for IPv4 and IPv6 addresses at once and wait for both answers. A server
// that never answers AAAA (old load balancers), or a rule that drops those questions,
// makes each look-up wait for its time-out, though dig shows the address at once. The
// same goes for questions with EDNS, which systemd's "options edns0 trust-ad" has glibc
// ask with: old routers and firewalls drop them, and no name resolves.
//
// See it by hand:
//
//	dig @SERVER NAME A; dig @SERVER NAME AAAA          the second one waits
//	dig +noedns @SERVER NAME; dig +edns=0 @SERVER NAME
//
// Found unasked, by questions for the root alone, it is a warning: a server may keep
// silent to that and answer for names.
//
// Sources: RFC 4074; RFC 6891 section 7; resolv.conf(5); glibc resolv/res_send.c: send_dg
func nd4305() diag.Check {
	return diag.Check{
		Code: "ND4305", Name: "dns-half-silent", Severity: diag.Error, Since: "0.2",
		Title: "A DNS server keeps silent to one kind of question",
		After: []diag.Code{"ND4301", "ND3102"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.HalfSilent) {
				f := g.finding(in)
				who := in.Who(g.first.Ask.Netns)
				f.Summary = fmt.Sprintf("%s waits in vain with each look-up: %s", who, g.problem.Detail)
				f.Subject = diag.Subject{Kind: "address", Name: g.problem.Server.Addr().String()}
				f.Confidence = diag.Proved
				f.Advice = "use another DNS server; where it has to be this one, programs of glibc 2.36 and later can do without IPv6: options no-aaaa"
				if g.problem.Domain != "" {
					f.Advice = "take edns0 out of the options in resolv.conf (and of what writes it), or use another DNS server"
				}
				rule, _ := insideOf(in, &g)
				if rule != nil {
					line, source := in.RuleLine(rule)
					f.Summary += fmt.Sprintf("; %s in %s looks into packets on that way: %s", diag.ChainName(rule), in.Who(rule.Netns), line)
					f.Evidence = append(f.Evidence, ev(source, line, rule.Ref))
					f.Advice = "take the rule out, or whatever puts it there"
				}
				if !g.first.Asked && rule == nil {
					f.Severity, f.Covers = diag.Warning, diag.Cover{}
				}
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for _, g := range nameGroups(in, names.HalfSilent) {
				if f.Subject.Name != g.problem.Server.Addr().String() {
					continue
				}
				if w, _ := insideOf(in, &g); w != nil {
					if ops := withoutRule(in, w); ops != nil || slices.Contains(managed, in.Owner(w)) {
						return ops
					}
				}
				c, r := in.Snap.Container(g.first.Ask.Container), in.Snap.Resolver(g.first.Ask.Container)
				if c == nil || r == nil || g.problem.Domain == "" {
					return nil
				}
				return []fixups.Op{&fixups.FileWrite{Owner: c.Ref, Pid: c.PID, Path: "/etc/resolv.conf", File: "resolv.conf", Old: &r.ResolvConf.Raw, Content: withoutOption(r.ResolvConf.Raw, "edns0")}}
			}
			return nil
		},
	}
}

// withoutOption is the text of a resolv.conf without one option.
func withoutOption(raw, option string) string {
	var b strings.Builder
	for l := range strings.Lines(raw) {
		w := strings.Fields(l)
		if len(w) == 0 || w[0] != "options" {
			b.WriteString(l)
			continue
		}
		keep := w[:1]
		for _, o := range w[1:] {
			if o != option {
				keep = append(keep, o)
			}
		}
		if len(keep) > 1 {
			b.WriteString(strings.Join(keep, " ") + "\n")
		}
	}
	return b.String()
}
