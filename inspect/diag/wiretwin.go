package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// WireTwin is a machine beyond this host that answers for an address which a container
// has on the same wire by macvlan or ipvlan.
type WireTwin struct {
	Container *snap.Container
	Endpoint  *snap.Endpoint
	Network   *snap.Network
	Link      *snap.Link  // of the host, to that wire
	Probe     *snap.Probe // with the other's MAC
}

// onWire are the containers with such addresses. The host's own question for one goes
// past its children (drivers/net/macvlan.c: only what arrives, or a child sends, is handed
// to them): whoever answers it is another machine, or a child by a macvlan device of the
// host's.
func (in *Input) onWire() []WireTwin {
	var out []WireTwin
	host := in.Snap.HostNs()
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for k := range c.Endpoints {
			e := &c.Endpoints[k]
			n := in.Snap.NetworkOf(c.Engine, e)
			if n == nil || n.Driver != "macvlan" && n.Driver != "ipvlan" || !c.Running() || !e.IPv4.IsValid() || len(out) >= maxPinned {
				continue
			}
			for _, l := range Outward(in.Snap) {
				if onLink(host, l, e.IPv4.Addr()) {
					out = append(out, WireTwin{c, e, n, l, nil})
					break
				}
			}
		}
	}
	return out
}

// askWire are the questions of who else has the addresses of onWire.
func (in *Input) askWire() []snap.Probe {
	var out []snap.Probe
	for _, t := range in.onWire() {
		out = append(out, snap.Probe{Kind: "arp", From: in.Snap.Host.Netns, Dst: netip.AddrPortFrom(t.Endpoint.IPv4.Addr(), 0)})
	}
	return out
}

// WireTwins are the containers whose address somebody else was heard to have.
func (in *Input) WireTwins() []WireTwin {
	var out []WireTwin
	for _, t := range in.onWire() {
		t.Probe = in.Neighbour(t.Endpoint.IPv4.Addr())
		if t.Probe == nil || t.Probe.Outcome != snap.Answered || t.Probe.MAC == "" {
			continue
		}
		ours := slices.ContainsFunc(in.Snap.Netns, func(ns snap.Netns) bool {
			return ns.Class.Ours() && slices.ContainsFunc(ns.Links, func(l snap.Link) bool { return strings.EqualFold(l.MAC, t.Probe.MAC) })
		})
		if !ours {
			out = append(out, t)
		}
	}
	return out
}

// alone says whether a question was one of askWire: that nobody answers is as it should be.
func (in *Input) alone(p *snap.Probe) bool {
	return p.Kind == "arp" && slices.ContainsFunc(in.onWire(), func(t WireTwin) bool { return t.Endpoint.IPv4.Addr() == p.Dst.Addr() })
}
