package checks

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4901 names whatever keeps a name from resolving that no other check explains.
//
// The way of the name ends in a wrong or empty answer: no server knows it, a line in
// /etc/hosts overrides it, or the resolver that should know it is not there.
//
// See it by hand:
//
//	docker exec NAME getent hosts myservice
//	netdoctor dns myservice --from NAME      every step and every answer
//
// Sources: nsswitch.conf(5), hosts(5), resolv.conf(5)
func nd4901() diag.Check {
	return diag.Check{
		Code: "ND4901", Name: "name-fails", Severity: diag.Error, Since: "0.1",
		Title:    "A name does not resolve, or resolves wrongly",
		CatchAll: true,
		After:    []diag.Code{"ND1104", "ND4101", "ND4102", "ND4103", "ND4109", "ND4201", "ND5108", "ND6103", "ND6201", "ND6402", "ND3102"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.NoSuchName, names.AardvarkDead, names.LoDown,
				names.SocketGone, names.EngineHung, names.AliasMissing, names.NoDNSSource, names.NoFilesSource, names.OnlyIPv6, names.UpstreamMissing, names.InternalNetwork, names.BigAnswersLost) {
				f := g.finding(in)
				if r := resolverOf(in, g.first); r != nil && (g.problem.Kind == names.NoDNSSource || g.problem.Kind == names.NoFilesSource) {
					f.Evidence = []diag.Evidence{ev(catIn(in, r, "/etc/nsswitch.conf"), "hosts: "+strings.Join(r.NSSwitch, " "), snap.RefResolver(r.Owner))}
				}
				if g.problem.Kind == names.InternalNetwork && !g.first.Asked {
					continue // by design
				}
				asked := g.first.Ask.Name
				if g.first.World {
					asked = "a name of the Internet"
				}
				f.Summary = fmt.Sprintf("%s asked by %s%s: %s", asked, in.Who(g.first.Ask.Netns), g.more(), g.problem.Detail)
				if g.problem.Kind == names.OnlyIPv6 {
					f.Summary = g.problem.Detail // has all of it
				}
				f.Summary += wantedBy(in, g.first, &f)
				f.Advice = adviceName(in, &g)
				sayOpinion(in, &g, &f)
				sayWildcard(in, &g, &f)
				sayMulticast(&g, &f)
				out = append(out, f)
			}
			return out
		},
		Fix: either(fixAardvark, fixAlias),
	}
}

// sayWildcard says that a line of the asker's hosts file looks as if it had the name, and
// has not: gethostbyname and all who read that file compare whole names (hosts(5)).
func sayWildcard(in *diag.Input, g *nameGroup, f *diag.Finding) {
	r := resolverOf(in, g.first)
	if r == nil || g.first.World {
		return
	}
	name := "." + strings.ToLower(strings.TrimSuffix(g.first.Ask.Name, "."))
	for _, l := range r.Hosts {
		for _, n := range l.Names {
			if tail := strings.ToLower(strings.TrimPrefix(n, "*")); tail != n && (tail == "" || strings.HasPrefix(tail, ".") && strings.HasSuffix(name, tail)) {
				f.Summary += fmt.Sprintf("; line %d of its /etc/hosts, %s, does not match: hosts files know no wildcards", l.Line, n)
				f.Evidence = append(f.Evidence, ev(catIn(in, r, "/etc/hosts"), fmt.Sprintf("%s %s", l.Addr, strings.Join(l.Names, " ")), snap.RefResolver(r.Owner)))
				f.Advice = fmt.Sprintf("write whole names into that line: %s %s; a wildcard needs a DNS server (dnsmasq: address=/%s/%[1]s)", l.Addr, g.first.Ask.Name, strings.Trim(tail, "."))
				return
			}
		}
	}
}

// fixAardvark starts podman's resolver, which netavark left its files for: it comes
// back with the next container that starts, and not before.
func fixAardvark(in *diag.Input, f *diag.Finding) []fixups.Op {
	p, host := in.Names[f.Covers.Names[0]].Path.Problem, in.Snap.HostNs()
	n, program := in.Snap.Network(p.Network), in.Snap.Host.Tools["aardvark-dns"]
	if p.Kind != names.AardvarkDead || n == nil || n.Engine != "podman" || n.DNSFile == "" || program == "" || host == nil || p.Server.Port() != 53 {
		return nil
	}
	op := &fixups.AardvarkStart{Aardvark: fixups.Aardvark{Program: program, Dir: path.Dir(n.DNSFile)}}
	for i := range in.Snap.Networks {
		x := &in.Snap.Networks[i]
		if x.Engine != n.Engine || x.DNSFile == "" || path.Dir(x.DNSFile) != op.Dir {
			continue
		}
		for _, a := range x.DNSServers {
			if _, mine := host.HasAddr(a); mine {
				op.At = append(op.At, fixups.Listener{Where: at(in, host.ID), Proto: snap.UDP, Addr: netip.AddrPortFrom(a, 53)})
			}
		}
	}
	if len(op.Missing(in.Snap)) != len(op.At) {
		return nil // somebody listens at one of them
	}
	return []fixups.Op{op}
}

// fixAlias connects a service's container anew, with the name that it lacks, where
// a person asked for it: its connections break for a moment, and Docker may give
// its device another name (eth1 for eth0).
func fixAlias(in *diag.Input, f *diag.Finding) []fixups.Op {
	n := askedOf(in, f)
	if n == nil || n.Path.Problem.Kind != names.AliasMissing {
		return nil
	}
	c, net := in.Snap.Container(n.Path.Problem.Container), in.Snap.Network(n.Path.Problem.Network)
	if c == nil || net == nil || c.Engine != "docker" {
		return nil
	}
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		if in.Snap.NetworkOf(c.Engine, e) != net {
			continue
		}
		aliases := slices.DeleteFunc(slices.Clone(e.Aliases), func(a string) bool { return strings.HasPrefix(c.ID, a) })
		return []fixups.Op{
			&fixups.EngineDisconnect{Ctr: fixups.CtrOf(c), Network: net.Name, NetworkID: net.ID},
			&fixups.EngineConnect{Ctr: fixups.CtrOf(c), Network: net.Name, NetworkID: net.ID, IPv4: e.StaticIPv4, IPv6: e.StaticIPv6, Aliases: append(aliases, n.Ask.Name)},
		}
	}
	return nil
}

// adviceName is what a person would do about a name that fails.
func adviceName(in *diag.Input, g *nameGroup) string {
	name, n := g.first.Ask.Name, in.Snap.Network(g.problem.Network)
	who := in.Who(g.first.Ask.Netns)
	alias := func(container string) string {
		return fmt.Sprintf("%s, then %s (compose: networks: %s: aliases:)",
			diag.DisconnectCommand(n.Engine, n.Name, container), diag.ConnectCommand(n.Engine, "--alias "+name, n.Name, container), n.Name)
	}
	switch c := in.Snap.Container(g.problem.Container); {
	case strings.EqualFold(name, "host.docker.internal") && g.problem.Kind == names.NoSuchName:
		return "make " + who + " again with --add-host host.docker.internal:host-gateway (compose: extra_hosts:), or say the address of its network's gateway"
	case g.problem.Kind == names.NoSuchName && n != nil && !strings.Contains(strings.TrimSuffix(name, "."), "."):
		return "start the container that is called so, or give the one that is meant the name as an alias: " + alias("CONTAINER")
	case g.problem.Kind == names.NoSuchName && !strings.Contains(strings.TrimSuffix(name, "."), ".") && in.Snap.Container(g.first.Ask.Container) != nil:
		return "ask for its whole name, or give " + who + " a search list (--dns-search, dns_search:); a container's name is answered on user-defined networks, to those who are on the same one"
	case g.problem.Kind == names.AliasMissing && n != nil && c != nil:
		return "give it the alias back: " + alias(c.Name)
	case g.problem.Kind == names.AardvarkDead && n != nil:
		return fmt.Sprintf("aardvark-dns starts again with the next container that starts on %s: %s run --rm --network %s IMAGE true, or podman stop and podman start of one that is on it; podman network reload does not start it", n.Name, diag.ToolOf(n.Engine, ""), n.Name)
	case g.problem.Kind == names.BigAnswersLost:
		server := g.problem.Server.String()
		for _, s := range g.first.Path.Servers {
			if s.Addr != g.problem.Server {
				continue
			}
			if t := in.World.Trace(sim.Flow{From: s.AskedFrom, Dst: s.Addr.Addr(), Dport: s.Addr.Port(), Proto: snap.TCP, StopOutside: true}); t.LeftHost != "" {
				return fmt.Sprintf("nothing on this host is wrong: answers that do not fit into UDP come by TCP, and %s/tcp does not answer by %s; ask whoever runs it, or the network there, or use another server", server, t.LeftHost)
			}
		}
		return fmt.Sprintf("answers that do not fit into UDP come by TCP: have %s take it; netdoctor trace %s %[1]s/tcp", server, who)
	case g.problem.Kind == names.OnlyIPv6:
		return fmt.Sprintf("give %s IPv6 (a network made with --ipv6), or have the name's zone, or the hosts file of %[1]s, give it an IPv4 address, too", who)
	case g.problem.Kind == names.NoDNSSource:
		return "put dns into the hosts line of /etc/nsswitch.conf of " + who
	case g.problem.Kind == names.NoFilesSource:
		return "put files first into the hosts line of /etc/nsswitch.conf of " + who
	case g.problem.Kind == names.UpstreamMissing:
		return `name a server in the host's /etc/resolv.conf, or as "dns" in daemon.json, and restart the container`
	case g.problem.Kind == names.InternalNetwork:
		return "an internal network has no way out, by design: attach " + who + " to another network, too, if it should have one"
	}
	return "see each step: netdoctor dns " + name + " --from " + who
}
