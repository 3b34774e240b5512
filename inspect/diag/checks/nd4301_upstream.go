package checks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4301: an upstream server does not answer.
//
// The server that outside names are asked of gives no answer, refuses, or cannot be
// reached. Container names still resolve where the embedded resolver knows them.
// When the host itself gets no answer either, nothing on this host is wrong.
//
// A server that answers other questions, be it with REFUSED, is not dead: it waits for
// another one, which it asks for that name alone (split DNS). Where it is a dnsmasq of this
// host that was told so on its command line, that other one is asked, too, and named.
//
// See it by hand:
//
//	ps -o args= -C dnsmasq                   --server=/DOMAIN/ADDRESS
//	dig @SERVER example.com                  from the host
//	nsenter -t PID -n dig @SERVER example.com
//
// Sources: moby libnetwork/resolver.go: 4 s per server, the first three are asked
func nd4301() diag.Check {
	return diag.Check{
		Code: "ND4301", Name: "upstream-dns-dead", Severity: diag.Error, Since: "0.1",
		Title:    "An upstream DNS server does not answer",
		CatchAll: true,
		After:    []diag.Code{"ND1903", "ND1123", "ND3106", "ND1121", "ND1111", "ND2303", "ND1124", "ND1101", "ND1103", "ND1108", "ND2101", "ND2102", "ND2103", "ND2104", "ND2105", "ND2201", "ND2305", "ND2901", "ND2902", "ND3101", "ND3102", "ND3103", "ND3204", "ND6101", "ND1901", "ND1125", "ND2205", "ND2209", "ND2206", "ND2207", "ND3205", "ND1106", "ND5116", "ND3303", "ND2211", "ND5121", "ND8104", "ND2123"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.Unreachable, names.UpstreamDead, names.SilentForName, names.UpstreamRefuses, names.TooLate) {
				f := g.finding(in)
				server := g.problem.Server.Addr()
				f.Summary = fmt.Sprintf("upstream DNS server %s does not answer %s%s", server, in.Who(g.first.Ask.Netns), g.reason(in))
				f.Subject = diag.Subject{Kind: "address", Name: server.String()}
				f.Weight = 45
				if g.problem.For != "" {
					f.Summary = fmt.Sprintf("%s does not answer %s for %s%s; it answers other questions", server, in.Who(g.first.Ask.Netns), g.problem.For, g.reason(in))
				}
				if g.problem.Kind == names.UpstreamDead || g.problem.For != "" {
					f.Confidence = diag.Proved
				}
				switch {
				case g.problem.For != "" && freedHere(in, g.problem) == nil:
					f.Cause = fmt.Sprintf("%s lives: it waits for a server behind it, which it asks for that name, or keeps silent to it on purpose", server)
					f.Advice = fmt.Sprintf("nothing is wrong between %s and %s: ask whoever runs it, or another server for that name", in.Who(g.first.Ask.Netns), server)
				case g.problem.Kind == names.UpstreamRefuses:
					f.Summary = fmt.Sprintf("upstream DNS server %s is of no use to %s: %s", server, in.Who(g.first.Ask.Netns), g.problem.Detail)
					f.Advice = "it answers, but not that: let it serve this host's addresses, or use another DNS server (daemon.json \"dns\", docker run --dns)"
					sayMulticast(&g, &f)
				case g.problem.Kind == names.TooLate:
					f.Summary = fmt.Sprintf("upstream DNS server %s answers %s too late: %s", server, in.Who(g.first.Ask.Netns), g.problem.Detail)
					f.Confidence = diag.Proved
					f.Advice = "have the resolver wait for longer (options timeout:, --dns-opt), or give it a server that is nearer"
				case hostSays(in, g.problem) == "dead" && programAt(in) != nil:
					l := programAt(in)
					f.Cause = fmt.Sprintf("%s gives no answer to this host either: it is down, or the way to it, or the program on %s drops what comes back", server, l.Name)
					f.Advice = fmt.Sprintf("look at the program first: ip -d link show %s; tc -s filter show dev %s ingress", l.Name, l.Name)
				case hostSays(in, g.problem) == "dead" && foreignTo(in, server) != nil:
					o := foreignTo(in, server)
					f.Cause = o.cause()
					f.Advice, f.Fix = o.advice, o.fix
					f.Evidence = append(f.Evidence, o.evidence...)
				case hostSays(in, g.problem) == "dead":
					f.Cause = fmt.Sprintf("%s gives no answer to this host either: the server, or the way to it beyond this host, is down", server)
					f.Advice = "nothing on this host is wrong; use another DNS server (daemon.json \"dns\", docker run --dns) until it is back"
					f.Evidence = append(f.Evidence, wayTo(in, server)...)
				default:
					p := freedHere(in, g.problem)
					rule, flow := insideOf(in, &g)
					if p != nil {
						f.Cause = fmt.Sprintf("the kernel freed the packets in %s on %s (%s%s)", in.Who(p.Died.Netns), p.Died.Device, p.Died.Reason, freedAt(p.Died))
					}
					f.Advice = fmt.Sprintf("see where it ends: netdoctor trace %s %s:53/udp", in.Who(g.first.Ask.Netns), server)
					f.Evidence = append(f.Evidence, wayTo(in, server)...)
					if p != nil && rule != nil && p.Died.Netns == rule.Netns && p.Died.Reason == "NETFILTER_DROP" {
						line, source := in.RuleLine(rule)
						f.Summary += fmt.Sprintf(": %s (%s) in %s drops it: %s", diag.ChainName(rule), in.Owner(rule), in.Who(rule.Netns), line)
						f.Evidence = append(f.Evidence, ev(source, line, rule.Ref))
						f.Advice = "take the rule out, let these questions pass before it, or whatever puts it there"
						if saySpent(in, &f, rule, flow) {
							break
						}
						if ops := withoutRule(in, rule); ops != nil {
							f.Fix = &diag.Fix{Ops: ops, Survives: "until reboot"}
						}
					}
				}
				if c := in.Snap.Container(g.first.Ask.Container); c != nil && slices.Contains(c.DNS, server.String()) {
					better := "a server that answers"
					good := slices.DeleteFunc(workingServers(in, c.Netns), func(a netip.Addr) bool { return a == server })
					if len(good) > 0 {
						better = good[0].String() + ", which answers other containers here"
					}
					f.Summary += fmt.Sprintf("; it was given to %s by --dns", c.Name)
					f.Advice = fmt.Sprintf("make %s again with --dns (dns: in the compose file) %s; an engine can't change it in a container that is there", c.Name, better)
				}
				if r := in.Snap.Resolver(g.first.Ask.Container); r != nil && len(r.ResolvConf.Nameservers) > libcServers && slices.Contains(r.ResolvConf.Nameservers[:libcServers], server) {
					f.Summary += fmt.Sprintf("; %s is the fourth in resolv.conf, and programs ask the first three only", r.ResolvConf.Nameservers[libcServers])
				}
				if t := userServer(in, g.first, server); t != "" {
					f.Advice = t
				}
				sayOpinion(in, &g, &f)
				if now := keptServer(in, g.first, server); len(now) > 0 {
					who := in.Who(g.first.Ask.Netns)
					f.Summary += fmt.Sprintf("; the host's resolv.conf named it when %s was started, and names %s now", who, now[0])
					f.Advice = fmt.Sprintf("restart %s: the engine's resolver keeps the servers of its start", who)
				}
				out = append(out, f)
			}
			return out
		},
		Fix: either(fixUpstream, fixGiven),
	}
}

// libcServers is how many servers of resolv.conf are asked (resolv.conf(5): MAXNS; musl
// include/resolv.h).
const libcServers = 3

// keptServer are the servers of the host's own list, where a container's resolver still
// asks one that was on it when the container was started; nil else.
func keptServer(in *diag.Input, n *diag.NameCase, server netip.Addr) []netip.Addr {
	c, r, host := in.Snap.Container(n.Ask.Container), in.Snap.Resolver(n.Ask.Container), in.Snap.Resolver("host")
	if c == nil || r == nil || host == nil || len(c.DNS) > 0 ||
		!slices.Contains(c.Upstreams, server) && !slices.Contains(r.ResolvConf.ExtServers, "host("+server.String()+")") {
		return nil
	}
	now := host.ResolvConf.Nameservers
	if len(host.Upstreams) > 0 {
		now = host.Upstreams
	}
	if slices.Contains(now, server) {
		return nil
	}
	return now
}

// fixGiven leads questions for a dead server that was given to a container
// (--dns, or the daemon's dns) to the first server of the host's own list, in
// the container's namespace, which Docker's resolver asks from. The resolver
// itself can't be told another server while the container lives, and a
// resolv.conf that goes past it would lose the containers' names.
func fixGiven(in *diag.Input, f *diag.Finding) []fixups.Op {
	n := &in.Names[f.Covers.Names[0]]
	if n.Path.Problem.For != "" {
		return nil // it answers other questions
	}
	c, r, host := in.Snap.Container(n.Ask.Container), in.Snap.Resolver(n.Ask.Container), in.Snap.Resolver("host")
	ns := in.Netns(n.Ask.Netns)
	dead := n.Path.Problem.Server
	if c == nil || r == nil || host == nil || ns == nil || c.Engine != "docker" || !slices.Contains(r.ResolvConf.Nameservers, snap.DockerResolver()) || !dead.Addr().Is4() {
		return nil
	}
	e := in.Snap.Engine(c.Engine)
	given := len(keptServer(in, n, dead.Addr())) > 0 || slices.Contains(c.DNS, dead.Addr().String()) || len(c.DNS) == 0 && e != nil && slices.Contains(e.DNS, dead.Addr().String())
	fromHere := slices.ContainsFunc(n.Path.Servers, func(s names.Server) bool { return s.Addr == dead && s.AskedFrom == ns.ID })
	good := slices.DeleteFunc(workingServers(in, ns.ID), func(a netip.Addr) bool {
		return !a.Is4() || a == dead.Addr() || !slices.Contains(host.ResolvConf.Nameservers, a)
	})
	if !given || !fromHere || len(good) == 0 || !slices.Contains([]string{"dead", ""}, hostSays(in, n.Path.Problem)) {
		return nil
	}
	ref := fixups.ChainRef{Where: at(in, ns.ID), System: embeddedSystem(in, ns), Family: snap.IPv4, Table: "nat", Chain: "OUTPUT"}
	if in.Snap.NFTResolver(ns) {
		ref.System, ref.Table, ref.Chain = snap.NFT, "docker-dns", "dns-dnat"
	}
	if ns.Ruleset.Table(ref.System, ref.Family, ref.Table) == nil {
		return nil
	}
	var ops []fixups.Op
	for _, p := range []snap.Proto{snap.TCP, snap.UDP} {
		op := &fixups.RuleInsert{ChainRef: ref, Position: 1}
		if ref.System == snap.NFT {
			op.Text = fmt.Sprintf("ip daddr %s %s dport 53 dnat to %s", dead.Addr(), p, good[0])
		} else {
			op.Args = strings.Fields(fmt.Sprintf("-d %s/32 -p %s -m %s --dport 53 -j DNAT --to-destination %s", dead.Addr(), p, p, good[0]))
		}
		ops = append(ops, op)
	}
	if len(keptServer(in, n, dead.Addr())) > 0 {
		f.Advice = fmt.Sprintf("this lasts until %s is restarted, which has its resolver ask the host's servers of then", c.Name)
	} else {
		f.Advice = "this lasts until " + c.Name + " is restarted; then " + f.Advice
	}
	return ops
}

// fixUpstream writes a container's resolv.conf as its engine does, where somebody
// changed it to a server that is silent and the engine's own choice answers
// others on this host.
func fixUpstream(in *diag.Input, f *diag.Finding) []fixups.Op {
	n := &in.Names[f.Covers.Names[0]]
	c, r := in.Snap.Container(n.Ask.Container), in.Snap.Resolver(n.Ask.Container)
	dead := n.Path.Problem.Server.Addr()
	if c == nil || r == nil || c.Engine != "docker" || len(c.DNS) > 0 || !slices.Contains(r.ResolvConf.Nameservers, dead) {
		return nil
	}
	text := withServersOf(r.ResolvConf.Raw, engineResolvConf(in, c))
	good := workingServers(in, c.Netns)
	for l := range strings.Lines(text) {
		w := strings.Fields(l)
		if len(w) != 2 || w[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(w[1]); err != nil || a != snap.DockerResolver() && !slices.Contains(good, a) {
			return nil
		}
	}
	if text == "" || text == r.ResolvConf.Raw || n.Path.Problem.For != "" || !answersThen(in, f, c, text) {
		return nil
	}
	return []fixups.Op{&fixups.FileWrite{Owner: c.Ref, Pid: c.PID, Path: "/etc/resolv.conf", File: "resolv.conf", Old: &r.ResolvConf.Raw, Content: text}}
}

// wayTo is the route by which this host sends to an address.
func wayTo(in *diag.Input, a netip.Addr) []diag.Evidence {
	r := in.World.Route(in.Snap.Host.Netns, sim.RouteQuery{Dst: a})
	if r.Text == "" || r.Unknown != "" {
		return nil
	}
	return []diag.Evidence{ev("ip route get "+a.String(), r.Text, cmp.Or(r.Route, snap.RefNetns(in.Snap.Host.Netns)))}
}

// freedHere is a probe to the server that the kernel was seen to free on this host;
// nil when there is none.
func freedHere(in *diag.Input, p *names.Problem) *snap.Probe {
	for i := range in.Snap.Probes {
		if x := &in.Snap.Probes[i]; x.Kind == "dns" && x.Dst == p.Server && diedHere(in, x) {
			return x
		}
	}
	return nil
}

// hostSays is what the host itself heard of the server: "dead", "alive", "" not asked,
// or asked in vain because of this host itself.
func hostSays(in *diag.Input, p *names.Problem) string {
	said := ""
	for i := range in.Snap.Probes {
		x := &in.Snap.Probes[i]
		if x.Kind != "dns" || x.From != in.Snap.Host.Netns || x.Dst != p.Server {
			continue
		}
		switch {
		case diedHere(in, x):
			said = ""
		case diag.ProbeSays(x) == "dropped" || x.Outcome == snap.Refused:
			said = "dead"
		default:
			return "alive" // it may keep silent to another question, AAAA or with EDNS
		}
	}
	return said
}

// foreignTo is a source that is not of the uplink, by which this host asks a server.
func foreignTo(in *diag.Input, server netip.Addr) *foreign {
	return foreignSource(in, in.World.Trace(sim.Flow{From: in.Snap.Host.Netns, Dst: server, Proto: snap.UDP, Dport: 53, StopOutside: true}))
}
