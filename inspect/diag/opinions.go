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
// to the very server where that is one of this host's programs and keeps silent, and to
// those that it is told to ask. The silent server itself is asked for the root's servers
// by the asker, too: one that answers that lives. They come after the answers of all Rounds.
func (in *Input) Opinions() []snap.Probe {
	host := in.Snap.HostNs()
	if host == nil || host.Light {
		return nil
	}
	var out []snap.Probe
	for i := range in.Names {
		n := &in.Names[i]
		if !n.Asked || !n.Bad() {
			continue
		}
		k := len(out)
		if p := n.Path.Problem; p.Kind == names.UpstreamDead && p.From != "" {
			q := snap.Probe{Kind: "dns", From: p.From, Dst: p.Server, DNS: &snap.DNSProbe{Name: ".", Type: "NS", TCP: n.Path.TCP}}
			if in.opinion(&q) == nil {
				out = append(out, q)
			}
		}
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
	var out []netip.AddrPort
	switch p.Kind {
	case names.UpstreamDead, names.SilentForName:
		if s, _ := in.ServedHere(p.Server); s != nil {
			out, _ = Forwarders(s.Process, n.Ask.Name)
			if n.Ask.Netns != host.ID {
				out = append([]netip.AddrPort{p.Server}, out...)
			}
		}
	case names.NoSuchName, names.UpstreamRefuses:
		if !p.Server.IsValid() {
			return nil // nobody outside was asked, and need not be
		}
	case names.NoNameserver, names.LoopbackStub, names.GoogleFallback, names.Unreachable: // who could take their place
	default:
		return nil
	}
	r := in.Snap.Resolver("host")
	if r == nil || n.Ask.Netns == host.ID || !strings.Contains(strings.Trim(n.Ask.Name, "."), ".") {
		return out
	}
	list := r.ResolvConf.Nameservers
	for i := range in.Names { // those that answer others may take a dead one's place
		if o := in.Names[i].Path; o != nil && p.Kind != names.NoSuchName && p.Kind != names.UpstreamRefuses {
			for k := range o.Servers {
				if s := &o.Servers[k]; s.Probe != nil && s.Probe.Outcome == snap.Answered && !s.Addr.Addr().IsLoopback() {
					list = append(slices.Clip(list), s.Addr.Addr())
				}
			}
		}
	}
	for _, a := range list {
		if at := netip.AddrPortFrom(a, 53); !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return out
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
	silent := n.Path.Problem.Kind == names.UpstreamDead || n.Path.Problem.Kind == names.SilentForName
	for _, s := range in.secondServers(n, host) {
		p := in.SaidHere(n, s)
		if silent && s != n.Path.Problem.Server || p == nil || p.Outcome != snap.Answered {
			continue
		}
		if silent || slices.ContainsFunc(p.DNS.Answers, func(a string) bool { return strings.HasPrefix(a, n.Path.Type+" ") }) {
			return p
		}
	}
	return nil
}

// SaidHere is what a server said to this host of a name that somebody asks for; nil: it
// was not asked.
func (in *Input) SaidHere(n *NameCase, server netip.AddrPort) *snap.Probe {
	return in.opinion(&snap.Probe{From: in.Snap.Host.Netns, Dst: server, DNS: &snap.DNSProbe{Name: n.Ask.Name, Type: n.Path.Type}})
}
