package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// banners are the programs that shut out single addresses by themselves.
var banners = []string{"fail2ban", "CrowdSec"}

const maxBanned = 8 // neighbours that are looked at on each uplink

// banned: a program that bans addresses by itself, or a list whose entries pass, has shut
// a machine of this host's own wire, one that is there now, out of a published port by
// which it was served a moment ago. Bans are meant for strangers; such a neighbour is
// mostly a user whose password was old. A ban that has held for longer is nobody's
// trouble, and not this program's to lift unasked.
func (e *expecter) banned(c *snap.Container, p *snap.Port, up *snap.Link, ip netip.Addr) {
	n := 0
	for _, x := range e.host.Neighs {
		if x.Index != up.Index || x.MAC == "" || x.IP.Is4() != ip.Is4() || !private(x.IP) || n >= maxBanned || !e.served(x.IP, p) {
			continue
		}
		n++
		f := FlowCase{
			Kind: "banned", From: "outside (" + x.IP.String() + ")", To: netip.AddrPortFrom(ip, p.HostPort).String() + "/" + string(p.Proto),
			Target: c.Ref, Port: p, Outside: true, Because: []snap.Ref{snap.RefContainer(c.Ref)},
			Flow: sim.Flow{From: e.host.ID, Iif: up.Name, Src: x.IP, Dst: ip, Proto: p.Proto, Dport: p.HostPort, StopOutside: true},
		}
		f.Trace = e.in.follow(f.Flow)
		if w := f.Trace.Where; f.Broken() && w != nil && w.Cause == sim.CauseRule && !w.Rule.Policy && (slices.Contains(banners, ownerByName(w)) || e.passing(w, x.IP)) {
			e.add(f)
		}
	}
}

// maxBanTries bounds the flows that are followed from containers to this host's services.
const maxBanTries = 1024

// bannedOwn: such a program has shut out one of this host's own containers, from a service
// of the host that takes connections from anywhere.
func (e *expecter) bannedOwn() {
	if !slices.ContainsFunc(e.host.Ruleset.Tables, func(t snap.Table) bool {
		return slices.Contains(banners, TableOwner(t.Name)) || slices.ContainsFunc(t.Chains, func(c snap.Chain) bool { return slices.Contains(banners, chainOwner(c.Name)) })
	}) {
		return
	}
	n := 0
	for i := range e.in.Snap.Containers {
		c := &e.in.Snap.Containers[i]
		ns := e.in.Snap.Ns(c.Netns)
		if !c.Running() || ns == nil || ns == e.host {
			continue
		}
		gw := DefaultGateway(ns)
		if _, here := e.host.HasAddr(gw); !here {
			continue
		}
		for k := range e.host.Sockets {
			s := &e.host.Sockets[k]
			if s.Proto != snap.TCP || s.Remote.IsValid() || !s.Local.Addr().IsUnspecified() || n >= maxBanTries {
				continue
			}
			n++
			f := FlowCase{
				Kind: "banned", From: c.Name, To: netip.AddrPortFrom(gw, s.Local.Port()).String() + "/tcp", Because: []snap.Ref{snap.RefContainer(c.Ref)},
				Flow: sim.Flow{From: ns.ID, Dst: gw, Proto: snap.TCP, Dport: s.Local.Port()},
			}
			f.Trace = e.in.follow(f.Flow)
			if w := f.Trace.Where; f.Broken() && w != nil && w.Netns == e.host.ID && w.Cause == sim.CauseRule && !w.Rule.Policy && slices.Contains(banners, ownerByName(w)) {
				e.add(f)
			}
		}
	}
}

// served says whether conntrack still has a connection of the address with a published
// port that was answered (nf_conntrack_proto_tcp.c: TIME_WAIT is kept for 120 s).
func (e *expecter) served(from netip.Addr, p *snap.Port) bool {
	return slices.ContainsFunc(e.host.Conntrack, func(c snap.Conn) bool {
		return c.Orig.Src.Addr() == from && c.Orig.Dst.Port() == p.HostPort && c.Proto == p.Proto.Number() && slices.Contains(c.Status, "assured")
	})
}

// passing says whether a rule drops an address because it is on a list for a time: of
// xt_recent, or in a set with what is left of its time. Such an entry was put there by
// a program or by a rule; who keeps somebody out by will writes one that stays.
func (e *expecter) passing(w *sim.Where, ip netip.Addr) bool {
	if w.Rule == nil || w.Rule.Rule == nil {
		return false
	}
	for _, x := range w.Rule.Rule.Exprs {
		if l, ok := x.(*snap.Lookup); ok && !l.Invert {
			if s := w.Rule.TableP.Set(l.Set); s != nil {
				for i := range s.Elements {
					if el := &s.Elements[i]; el.ExpiresMs > 0 && el.KeyEnd == nil && string(el.Key) == string(ip.AsSlice()) {
						return true
					}
				}
			}
		}
		x, ok := x.(*snap.Xt)
		if !ok || x.Target || x.Name != "recent" && x.Name != "set" {
			continue
		}
		m, err := firewall.DecodeXt(x, !ip.Is4())
		if err != nil {
			continue
		}
		switch m := m.(type) {
		case *firewall.RecentMatch:
			if l := e.host.RecentList(m.Name); l != nil && !m.Invert {
				for i := range l.Entries {
					if l.Entries[i].Addr == ip {
						return true
					}
				}
			}
		case *firewall.SetMatch:
			if s := e.host.IPSetAt(m.Index); s != nil && !m.Invert {
				for i := range s.Entries {
					if r := &s.Entries[i]; r.TimeoutS > 0 && r.IP.IsSingleIP() && r.IP.Addr() == ip {
						return true
					}
				}
			}
		}
	}
	return false
}
