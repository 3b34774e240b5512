package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxOpinions bounds the further questions of one name.
const maxOpinions = 4

// Opinions are questions for names that somebody asked for in vain, to be put from the
// host: to the servers of its own list, which may know more than the asker's (split DNS),
// and to the very server where that is one of this host's programs and keeps silent. They
// come after the answers of all Rounds.
func (in *Input) Opinions() []snap.Probe {
	host := in.Snap.HostNs()
	if host == nil || host.Light {
		return nil
	}
	var out []snap.Probe
	for i := range in.Names {
		n := &in.Names[i]
		if !n.Asked || !n.Bad() || n.Ask.Netns == host.ID {
			continue
		}
		k := len(out)
		for _, s := range in.secondServers(n, host) {
			q := snap.Probe{Kind: "dns", From: host.ID, Dst: s, DNS: &snap.DNSProbe{Name: n.Ask.Name, Type: n.Path.Type}}
			if in.opinion(&q) == nil {
				out = append(out, q)
			}
		}
		out = out[:min(len(out), k+maxOpinions)]
	}
	return out
}

// secondServers are whom else to ask about a name that fails; none where that would tell
// nothing.
func (in *Input) secondServers(n *NameCase, host *snap.Netns) []netip.AddrPort {
	p := n.Path.Problem
	switch p.Kind {
	case names.UpstreamDead:
		if s, _ := in.ServedHere(p.Server); s != nil {
			return []netip.AddrPort{p.Server}
		}
	case names.NoSuchName, names.UpstreamRefuses:
		r := in.Snap.Resolver("host")
		if r == nil || !p.Server.IsValid() || !strings.Contains(strings.Trim(n.Ask.Name, "."), ".") {
			return nil // nobody outside was asked, and need not be
		}
		var out []netip.AddrPort
		for _, a := range r.ResolvConf.Nameservers {
			out = append(out, netip.AddrPortFrom(a, 53))
		}
		return out
	}
	return nil
}

// ServedHere is the socket of this host's own that takes DNS questions by UDP to one of its
// addresses; nil: there is none, or an engine's, which hands them on.
func (in *Input) ServedHere(server netip.AddrPort) (*snap.Socket, snap.Ref) {
	host := in.Snap.HostNs()
	if host == nil {
		return nil, ""
	}
	_, own := host.HasAddr(server.Addr())
	if !own || slices.ContainsFunc(in.Snap.Networks, func(n snap.Network) bool { return slices.Contains(n.DNSServers, server.Addr()) }) {
		return nil, ""
	}
	for i := range host.Sockets {
		if s := &host.Sockets[i]; s.Proto == snap.UDP && s.Local.Port() == server.Port() && !s.Remote.IsValid() && TakesAddr(s, server.Addr()) &&
			(s.Process == nil || s.Process.Name != "docker-proxy") {
			return s, snap.RefItem(host.ID, "socket", i)
		}
	}
	return nil, ""
}

// opinion is the answer to a question of Opinions; nil: it was not asked.
func (in *Input) opinion(q *snap.Probe) *snap.Probe {
	for i := len(in.Snap.Probes) - 1; i >= 0; i-- {
		p := &in.Snap.Probes[i]
		if p.Kind == "dns" && p.DNS != nil && p.From == q.From && p.Dst == q.Dst && !p.DNS.TCP && !p.DNS.EDNS && p.DNS.Type == q.DNS.Type && names.Same(p.DNS.Name, q.DNS.Name) {
			return p
		}
	}
	return nil
}

// Opinion is an answer that this host has of a server to a name which an asker has in
// vain: one with addresses, or, of a server that keeps silent to the asker, any. nil:
// there is none.
func (in *Input) Opinion(n *NameCase) *snap.Probe {
	host := in.Snap.HostNs()
	if host == nil || n.Path == nil || n.Path.Problem == nil || n.Ask.Netns == host.ID {
		return nil
	}
	for _, s := range in.secondServers(n, host) {
		q := snap.Probe{From: host.ID, Dst: s, DNS: &snap.DNSProbe{Name: n.Ask.Name, Type: n.Path.Type}}
		p := in.opinion(&q)
		if p == nil || p.Outcome != snap.Answered {
			continue
		}
		if n.Path.Problem.Kind == names.UpstreamDead || slices.ContainsFunc(p.DNS.Answers, func(a string) bool { return strings.HasPrefix(a, n.Path.Type+" ") }) {
			return p
		}
	}
	return nil
}
