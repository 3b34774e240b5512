package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4302: the first server is dead, a later one answers.
//
// Servers are asked in order, and each that stays silent costs its time-out: 5 s in
// glibc, 4 s in Docker's resolver. Names resolve in the end, but programs with
// shorter patience fail, and all others are slow. With options rotate look-ups
// begin with one server after the other, and only some of them are slow.
//
// See it by hand:
//
//	time docker exec NAME getent hosts example.com
//	dig @FIRST example.com
//
// Sources: resolv.conf(5); moby libnetwork/resolver.go: extIOTimeout
func nd4302() diag.Check {
	return diag.Check{
		Code: "ND4302", Name: "first-dns-server-dead", Severity: diag.Error, Since: "0.1",
		Title: "The first DNS server does not answer: every name takes seconds",
		After: []diag.Code{"ND5108"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.FirstServerDead) {
				f := g.finding(in)
				f.Summary = fmt.Sprintf("the first DNS server of %s, %s, does not answer: each name waits for its time-out", in.Who(g.first.Ask.Netns), g.problem.Server.Addr())
				if g.problem.For != "" {
					f.Summary = fmt.Sprintf("the first DNS server of %s, %s, does not answer for %s, and answers other questions: that name waits for its time-out", in.Who(g.first.Ask.Netns), g.problem.Server.Addr(), g.problem.For)
				}
				if r := in.Snap.Resolver(g.first.Ask.Container); r != nil {
					if rc := &r.ResolvConf; rc.Rotate && len(rc.Nameservers) > 1 && rc.Nameservers[0] != g.problem.Server.Addr() {
						f.Summary = fmt.Sprintf("a DNS server of %s, %s, does not answer, and options rotate lets look-ups begin with it: those wait for its time-out", in.Who(g.first.Ask.Netns), g.problem.Server.Addr())
					}
					f.Evidence[0] = ev(catIn(in, r, "/etc/resolv.conf"), confLines(r.ResolvConf.Raw), snap.RefResolver(r.Owner))
				}
				f.Subject = diag.Subject{Kind: "resolver", Name: in.Who(g.first.Ask.Netns), Netns: g.first.Ask.Netns}
				f.Advice = fmt.Sprintf("remove %s from the list of servers, or put it last", g.problem.Server.Addr())
				if g.problem.For != "" {
					f.Advice = fmt.Sprintf("see whom %s asks for that name, and whether that one answers", g.problem.Server.Addr())
					sayOpinion(in, &g, &f)
				}
				out = append(out, f)
			}
			return out
		},
		Fix: fixFirstServer,
	}
}

// fixFirstServer takes the dead server out of a container's own resolv.conf.
// Where the file is not what the engine would write, it becomes that again.
func fixFirstServer(in *diag.Input, f *diag.Finding) []fixups.Op {
	n := &in.Names[f.Covers.Names[0]]
	c, r := in.Snap.Container(n.Ask.Container), in.Snap.Resolver(n.Ask.Container)
	dead := n.Path.Problem.Server.Addr()
	if c == nil || r == nil || !slices.Contains(r.ResolvConf.Nameservers, dead) || n.Path.Problem.For != "" {
		return nil
	}
	if n := ownResolver(in, c, dead); n != nil { // it alone knows the containers' names
		f.Advice = fmt.Sprintf("%s is the resolver of network %s itself and stays first: see what holds it up (ss -lnup 'sport = 53'; ps -o pid,stat,args)", dead, n.Name)
		return nil
	}
	text := ""
	if snap.IsDocker(c.Engine) && !slices.Contains(c.DNS, dead.String()) {
		text = withServersOf(r.ResolvConf.Raw, engineResolvConf(in, c))
	}
	if text == "" || strings.Contains(text, dead.String()) {
		text = withoutServer(r.ResolvConf.Raw, dead)
	}
	if len(r.ResolvConf.Nameservers) < 2 || text == r.ResolvConf.Raw {
		return nil
	}
	if slices.Contains(c.DNS, dead.String()) {
		f.Advice = fmt.Sprintf("it was given by --dns or dns: in the compose file; change it there, too, for when %s is made again", c.Name)
	}
	return []fixups.Op{&fixups.FileWrite{Owner: c.Ref, Pid: c.PID, Path: "/etc/resolv.conf", File: "resolv.conf", Old: &r.ResolvConf.Raw, Content: text}}
}

// ownResolver is the container's network whose own resolver has that address; nil for none.
func ownResolver(in *diag.Input, c *snap.Container, a netip.Addr) *snap.Network {
	for i := range c.Endpoints {
		n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[i])
		if n != nil && n.DNS && (a == snap.DockerResolver() || slices.ContainsFunc(n.Pools, func(p snap.Pool) bool { return p.Gateway == a })) {
			return n
		}
	}
	return nil
}

// withoutServer is the text of a resolv.conf without one server.
func withoutServer(raw string, dead netip.Addr) string {
	var b strings.Builder
	for l := range strings.Lines(raw) {
		w := strings.Fields(l)
		if len(w) == 2 && w[0] == "nameserver" {
			if a, err := netip.ParseAddr(w[1]); err == nil && a == dead {
				continue
			}
		}
		b.WriteString(l)
	}
	return b.String()
}
