package diag

import (
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxPinned bounds the neighbours that are asked for.
const maxPinned = 16

// Pinned is a neighbour entry that somebody wrote by hand and that never ages.
type Pinned struct {
	Netns *snap.Netns
	Link  *snap.Link
	Neigh *snap.Neigh
	Ref   snap.Ref
}

// PinnedNeighs are the permanent IPv4 entries, and those that need no ARP, of this host's namespaces on devices
// that ask by ARP. Those of overlays are an engine's, and are left out: nobody
// answers ARP for them.
func (in *Input) PinnedNeighs() []Pinned {
	var out []Pinned
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		for k := range ns.Neighs {
			n := &ns.Neighs[k]
			l := ns.LinkAt(n.Index)
			// The kernel's own entries without ARP are those of groups and broadcasts.
			noarp := n.State == "noarp" && !n.IP.IsMulticast() && !strings.HasPrefix(strings.ToLower(n.MAC), "ff:ff:ff")
			if n.State != "permanent" && !noarp || n.Proxy || n.ExtLearn || !n.IP.Is4() || n.MAC == "" || l == nil || l.NoARP || l.Vxlan != nil || l.Loopback || !l.Up {
				continue
			}
			if len(out) < maxPinned {
				out = append(out, Pinned{ns, l, n, snap.RefItem(ns.ID, "neigh", k)})
			}
		}
	}
	return out
}

// whoHas are the questions of who answers for the pinned neighbours.
func (in *Input) whoHas() []snap.Probe {
	var out []snap.Probe
	for _, p := range in.PinnedNeighs() {
		out = append(out, snap.Probe{Kind: "arp", From: p.Netns.ID, Dst: netip.AddrPortFrom(p.Neigh.IP, 0)})
	}
	return out
}

// Answers is the MAC that answered for a pinned neighbour; "" nobody did, nobody
// was asked, or several did.
func (p *Pinned) Answers(s *snap.Snapshot) (mac string, by *snap.Probe) {
	for i := len(s.Probes) - 1; i >= 0; i-- {
		x := &s.Probes[i]
		if x.Kind == "arp" && x.From == p.Netns.ID && x.Dst.Addr() == p.Neigh.IP {
			if len(x.MAC) != len("00:00:00:00:00:00") {
				return "", nil
			}
			return x.MAC, x
		}
	}
	return "", nil
}
