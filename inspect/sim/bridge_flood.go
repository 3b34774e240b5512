package sim

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// floods says whether a port is one of those that frames for nobody in particular go to
// (br_flood, net/bridge/br_forward.c); what the host itself sends to a group goes to all.
func floods(p, from *snap.Link, k *skb) bool {
	switch o := p.Port; {
	case o == nil:
		return true
	case k.DstMAC == macBroadcast:
		return o.BcastFlood || from == nil
	case group(k.DstMAC):
		return o.McastFlood || from == nil
	default:
		return o.Flood
	}
}

// unheard keeps for later why a question does not reach who could answer it.
func (r *run) unheard(n *netns, p, from *snap.Link, k *skb) {
	if !group(k.DstMAC) || p == from || r.quiet == 0 || k.arp == nil {
		return
	}
	what := "broadcasts are not flooded to " + p.Name + " (bcast_flood off)"
	if k.DstMAC != macBroadcast {
		what = "multicasts are not flooded to " + p.Name + " (mcast_flood off)"
	}
	r.lose(r.bridgeDrop(n, p, k, CauseBridgeFlood, what))
}

// bridgeFlood is br_flood: an unknown or group MAC goes to all ports.
func (r *run) bridgeFlood(n *netns, br, from *snap.Link, k *skb, up bool) *fate {
	if r.quiet == 0 && k.arp == nil && k.Dst.IsMulticast() && group(k.DstMAC) {
		return r.multicast(n, br, from, k, up)
	}
	ports, deaf := n.ports[br.Index], false
	if r.quiet > 0 && k.arp != nil && !k.arp.reply {
		hearing := n.hearing(br, k.arp.tip)
		ports, deaf = hearing, len(hearing) < len(ports)
	}
	var copies []copyTo
	var mute *snap.Link
	for _, p := range ports {
		switch {
		case p.Port != nil && p.Port.ProxyARP && k.arp != nil: // the bridge answers for it
		case !floods(p, from, k):
			if mute == nil || r.peerHas(p, k.DstMAC) {
				mute = p
			}
			r.unheard(n, p, from, k)
		case p == from && (p.Port == nil || !p.Port.Hairpin):
		default:
			copies = append(copies, copyTo{n, p, func(c *skb) *fate { return r.bridgeForward(n, br, from, p, c) }})
		}
	}
	if up {
		copies = append(copies, copyTo{n, br, func(c *skb) *fate { return r.bridgeUp(n, from, br, c) }})
	}
	dev := br
	if from != nil {
		dev = from
	}
	if len(copies) > 0 {
		heard := len(r.answers)
		f := floodFate(n, br, mute, k, r.spread(k, copies))
		switch {
		case mute == nil:
		case f == nil && k.arp != nil && k.arp.reply && len(r.answers) == heard: // nobody who got a copy had asked
			return r.unflooded(n, br, mute, dev, k)
		case f != nil && f.kind == fateDropped && f.where.Cause != CauseBridgeFlood && r.peerHas(mute, k.DstMAC): // what stops the copies is not the point
			return r.unflooded(n, br, mute, dev, k)
		}
		return f
	}
	switch {
	case mute != nil:
		return r.unflooded(n, br, mute, dev, k)
	case deaf:
		return nil // heard by many who have nothing to say
	}
	return r.bridgeDrop(n, dev, k, CauseWrongMAC, br.Name+" has no other port for "+k.DstMAC)
}

// peerHas says whether the other end of a veth has a MAC.
func (r *run) peerHas(l *snap.Link, mac string) bool {
	p := r.w.ns[l.PeerNetns]
	if p == nil || l.Kind != "veth" {
		return false
	}
	peer := p.links[l.Peer]
	return peer != nil && peer.MAC == mac
}

// unflooded is the end of a frame that the one port it is for does not get.
func (r *run) unflooded(n *netns, br, mute, dev *snap.Link, k *skb) *fate {
	f := r.bridgeDrop(n, dev, k, CauseBridgeFlood, notFlooded(br, mute, k))
	f.where.Ref = portRef(n, mute)
	return f
}

func notFlooded(br, mute *snap.Link, k *skb) string {
	return br.Name + " does not know " + k.DstMAC + ", and " + mute.Name + " is not flooded to"
}

// floodFate says of a flooded frame that nobody took why that is.
func floodFate(n *netns, br, mute *snap.Link, k *skb, f *fate) *fate {
	if f == nil || f.kind != fateElsewise {
		return f
	}
	f.kind = fateDropped
	if mute != nil {
		f.where.Cause, f.where.Detail, f.where.Ref = CauseBridgeFlood, notFlooded(br, mute, k), portRef(n, mute)
	} else if k.neighRef == "" && f.where.Reason == "OTHERHOST" {
		f.where.Detail = br.Name + " knows no port for " + k.DstMAC + ", and none that the flooded frame reaches has that MAC"
	}
	return f
}
