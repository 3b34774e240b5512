package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/resolv"
)

// nd4303: the servers of one list answer a name differently.
//
// Servers in one resolv.conf, or behind Docker's resolver, are taken to know the
// same names. One that knows the company's names beside one that does not (a VPN's
// and the provider's, split horizon) makes names resolve or not by who is asked:
// glibc, Go and Docker ask the first and believe its NXDOMAIN; musl asks all at once
// and believes whoever is first; options rotate begins with any.
//
// See it by hand:
//
//	docker exec NAME cat /etc/resolv.conf    two servers
//	dig @FIRST NAME; dig @SECOND NAME        differ
//
// False positives: none known: addresses that differ alone (content networks) are
// no sign of it, unless one is private and the other public.
//
// Sources: resolv.conf(5); musl src/network/res_msend.c; moby
// daemon/libnetwork/resolver.go: forwardExtDNS
func nd4303() diag.Check {
	return diag.Check{
		Code: "ND4303", Name: "dns-servers-differ", Severity: diag.Error, Since: "0.2",
		Title: "The DNS servers of one list give different answers to a name",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Names {
				n := &in.Names[i]
				p := differing(n)
				if p == nil {
					continue
				}
				g := nameGroup{problem: p, names: []int{i}, first: n}
				f := g.finding(in)
				who := in.Who(n.Ask.Netns)
				f.Summary = p.Detail
				f.Subject = diag.Subject{Kind: "resolver", Name: who, Netns: n.Ask.Netns}
				f.Confidence = diag.Proved
				if n.Path.Verdict == names.Resolved {
					f.Severity, f.Covers, f.Asked = diag.Warning, diag.Cover{}, n.Asked
				}
				f.Advice = fmt.Sprintf("name only servers that know the same names; one that splits them (dnsmasq: server=/DOMAIN/ADDRESS, systemd-resolved) in front of both keeps %s right", who)
				if p.Server.IsValid() {
					f.Advice = fmt.Sprintf("take %s out of the servers of %s, or put it last; ", p.Server.Addr(), who) + f.Advice
				}
				f.Weight = 55
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if len(f.Covers.Names) == 0 {
				return nil
			}
			advice := f.Advice
			ops := fixResolvConf(in, f)
			f.Advice = advice
			bad := in.Names[f.Covers.Names[0]].Path.Problem.Server
			if len(ops) == 1 {
				if w, ok := ops[0].(*fixups.FileWrite); ok && !slices.Contains(resolv.ParseResolvConf([]byte(w.Content)).Nameservers, bad.Addr()) {
					return ops
				}
			}
			return nil
		},
	}
}

// differing is the problem of servers that differ, nil when it is none.
func differing(n *diag.NameCase) *names.Problem {
	if n.Path == nil {
		return nil
	}
	if p := n.Path.Problem; p != nil && p.Kind == names.ServersDiffer {
		return p
	}
	if k := slices.IndexFunc(n.Path.Others, func(p names.Problem) bool { return p.Kind == names.ServersDiffer }); k >= 0 && n.Path.Verdict == names.Resolved {
		return &n.Path.Others[k]
	}
	return nil
}
