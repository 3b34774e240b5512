package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sayOpinion says what this host itself hears of a name that a container asks for in vain:
// that a server of its own list knows it, or that the program which keeps silent to the
// container answers the host.
func sayOpinion(in *diag.Input, g *nameGroup, f *diag.Finding) {
	p := in.Opinion(g.first)
	who, server := in.Who(g.first.Ask.Netns), g.problem.Server
	if s, ref := in.ServedHere(server); s != nil && (g.problem.Kind == names.UpstreamDead || g.problem.Kind == names.SilentForName) {
		saySilentHere(in, g, f, s, ref, p)
		return
	}
	if p == nil || g.problem.Kind != names.NoSuchName && g.problem.Kind != names.UpstreamRefuses {
		return
	}
	said := addressesIn(p)
	f.Summary += fmt.Sprintf("; %s, which this host asks, says %s", p.Dst.Addr(), strings.Join(said, ", "))
	f.Evidence = append(f.Evidence, ev(sourceOf(in, g.first, snap.RefProbe(p.ID)), lineOf(in, snap.RefProbe(p.ID), "")+" "+strings.Join(said, ", "), snap.RefProbe(p.ID)))
	f.Advice = fmt.Sprintf("give %s a server that knows the name (--dns, dns:, or \"dns\" in daemon.json): %s", who, p.Dst.Addr())
	if p.Dst.Addr().IsLoopback() {
		f.Advice = fmt.Sprintf("let the program on %s serve containers, too (%s has to listen at an address that they reach, such as their bridge's), and give %s that one (--dns, dns:); or the server that it asks for this zone", p.Dst.Addr(), servedBy(in, p.Dst), who)
	}
	if !slices.ContainsFunc(said, func(s string) bool { a, err := netip.ParseAddr(s); return err != nil || !a.IsPrivate() }) && g.problem.Kind == names.NoSuchName {
		f.Summary += fmt.Sprintf(": a private address, which %s leaves out if it guards against rebinding", servedBy(in, server))
		f.Advice = "except the zone from that guard (dnsmasq: rebind-domain-ok=/DOMAIN/; unbound: private-domain: DOMAIN), or " + f.Advice
	}
}

// saySilentHere is for a program of this host that gets a container's questions and does
// not answer them; p is what it answers to the host, nil when that is nothing either.
func saySilentHere(in *diag.Input, g *nameGroup, f *diag.Finding, s *snap.Socket, ref snap.Ref, p *snap.Probe) {
	who, server := in.Who(g.first.Ask.Netns), g.problem.Server.Addr()
	f.Evidence = append(f.Evidence, ev("ss -lnup", lineOf(in, ref, ""), ref))
	if s.Process != nil && s.Process.Name == "dnsmasq" && len(s.Process.Args) > 1 {
		f.Evidence = append(f.Evidence, ev(fmt.Sprintf("ps -o args= -p %d", s.Process.PID), strings.Join(s.Process.Args, " "), ref))
	}
	if sayForwarder(in, g, f, s) {
		return
	}
	if g.problem.Kind == names.SilentForName {
		f.Summary += fmt.Sprintf("; %s of this host listens there", s.Holder("a program"))
		f.Advice = fmt.Sprintf("see whom the program asks for %s (dnsmasq: server=/DOMAIN/ADDRESS; unbound: forward-zone; BIND: zone), and whether that one answers; the resolv.conf of %s is not to blame", g.problem.For, who)
		return
	}
	if p == nil {
		f.Summary += fmt.Sprintf("; %s of this host listens there (%s)", s.Holder("a program"), s.Local)
		f.Cause = ""
		f.Advice = fmt.Sprintf("look at the program: it may be told to serve other interfaces or clients alone (dnsmasq: interface=, except-interface=, local-service; unbound: access-control; BIND: allow-query), have no server of its own that answers, or hang; or give %s another server", who)
		return
	}
	f.Summary += fmt.Sprintf("; %s of this host listens there (%s) and answers this host: it keeps silent to %s alone", s.Holder("a program"), s.Local, who)
	f.Evidence = append(f.Evidence, ev(sourceOf(in, g.first, snap.RefProbe(p.ID)), lineOf(in, snap.RefProbe(p.ID), ""), snap.RefProbe(p.ID)))
	f.Cause = ""
	f.Advice = fmt.Sprintf("have it serve the containers' bridge and subnet, too (dnsmasq: interface=BRIDGE, no except-interface and no local-service; unbound: access-control; BIND: allow-query), or give %s another server than %s", who, server)
}

// sayForwarder says that a program of this host waits in vain for a server that it is told
// to ask: that one is the dead one. false where its settings don't tell of such a server,
// or it answers.
func sayForwarder(in *diag.Input, g *nameGroup, f *diag.Finding, s *snap.Socket) bool {
	list, by := diag.Forwarders(s.Process, g.first.Ask.Name)
	var dead []string
	var probes []diag.Evidence
	for _, to := range list {
		p := in.SaidHere(g.first, to)
		if p == nil || p.Outcome == snap.Answered {
			return false
		}
		dead = append(dead, to.Addr().String())
		probes = append(probes, ev(sourceOf(in, g.first, snap.RefProbe(p.ID)), lineOf(in, snap.RefProbe(p.ID), ""), snap.RefProbe(p.ID)))
	}
	if len(dead) == 0 {
		return false
	}
	all := commas(dead)
	f.Summary = fmt.Sprintf("DNS server %s does not answer this host for %s: %s, which %s asks, is told to ask it (%s)", all, g.first.Ask.Name, s.Holder("a program"), in.Who(g.first.Ask.Netns), by)
	f.Cause = fmt.Sprintf("%s (%s) waits for %s and keeps silent itself", s.Holder("a program"), g.problem.Server.Addr(), all)
	f.Subject = diag.Subject{Kind: "address", Name: dead[0]}
	f.Evidence = append(append(f.Evidence, probes...), wayTo(in, list[0].Addr())...)
	f.Advice = fmt.Sprintf("get %s to answer (netdoctor trace host %s/udp), or give %s another server for that name; the resolv.conf of %s is not to blame", all, list[0], s.Holder("the program"), in.Who(g.first.Ask.Netns))
	return true
}

// addressesIn are the addresses in an answer.
func addressesIn(p *snap.Probe) []string {
	var out []string
	for _, a := range p.DNS.Answers {
		if v, ok := strings.CutPrefix(a, p.DNS.Type+" "); ok {
			out = append(out, v)
		}
	}
	return out
}

// servedBy is how a server is called: by its program where that runs on this host.
func servedBy(in *diag.Input, server netip.AddrPort) string {
	if s, _ := in.ServedHere(server); s != nil && s.Process != nil {
		return s.Process.Name
	}
	return server.Addr().String()
}
