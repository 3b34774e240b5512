package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4101: resolv.conf names no server.
//
// A container's /etc/resolv.conf is empty, missing, or holds no valid nameserver
// line. The C libraries then ask 127.0.0.1, where nothing answers. On a network of
// Docker's own making the file must say 127.0.0.11. DHCP and VPN clients inside
// containers empty it, and an empty file on the host at start is copied. A file that
// the container's user may not read (a daemon with umask 077, a program that wrote it
// anew) is to that user one that is missing, while root in the container sees it.
//
// See it by hand:
//
//	docker exec NAME cat /etc/resolv.conf    as the container's user, not with -u 0
//	docker exec NAME ls -l /etc/resolv.conf; docker exec NAME id
//
// Sources: resolv.conf(5); glibc resolv/res_init.c, musl src/network/resolvconf.c; moby libnetwork/internal/resolvconf
func nd4101() diag.Check {
	return diag.Check{
		Code: "ND4101", Name: "no-nameserver", Severity: diag.Error, Since: "0.1",
		Title: "resolv.conf names no name server",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.NoNameserver) {
				if c := in.Snap.Container(g.first.Ask.Container); c != nil && c.Engine == "containerd" && c.ResolvConfPath == "" && !g.first.Asked && g.first.Wanted == "" {
					continue // ctr gives none, unless it is told to
				}
				f := g.finding(in)
				f.Summary = "/etc/" + g.problem.Detail // resolv.conf of …
				f.Subject.Kind, f.Subject.Name = "resolver", in.Who(g.first.Ask.Netns)
				f.Weight = 70
				if r := in.Snap.Resolver(g.first.Ask.Container); r != nil && r.ResolvConf.Denied != "" {
					unreadable(in, &f, r)
				}
				if !g.first.Asked && g.first.Ask.Netns == in.Snap.Host.Netns {
					f.Severity = diag.Warning // a host may well do without names
				}
				out = append(out, f)
			}
			return out
		},
		Fix: fixResolvConf,
	}
}

// unreadable words it for a file that is there, and not for the one who needs it.
func unreadable(in *diag.Input, f *diag.Finding, r *snap.Resolver) {
	who := in.Who(r.Netns)
	f.Summary = fmt.Sprintf("%s may not read its own /etc/resolv.conf: %s", who, r.ResolvConf.Denied)
	f.Cause = "to a program that may not read it there is no resolv.conf: it asks 127.0.0.1, where nothing answers"
	f.Advice = "let everybody read it, and find out what took that away (the umask of the engine's daemon, a program that writes it anew)"
	if c := in.Snap.Container(r.Owner); c != nil && (snap.IsDocker(c.Engine) || snap.IsPodman(c.Engine)) {
		tool := diag.ToolOf(c.Engine, c.Name)
		f.Evidence = append(f.Evidence, ev(fmt.Sprintf("%s exec %s ls -l /etc/resolv.conf", tool, c.Name), r.ResolvConf.Denied, snap.RefResolver(r.Owner)))
		f.Advice = fmt.Sprintf("%s exec -u 0 %s chmod a+r /etc/resolv.conf; and find out what took that away (the umask of the engine's daemon, a program that writes it anew)", tool, c.Name)
	}
}
