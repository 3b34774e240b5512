package sim

import "github.com/netdoctor/netdoctor/inspect/snap"

// macvlans are the macvlan devices on top of a device.
func (r *run) macvlans(n *netns, dev *snap.Link) []end {
	var out []end
	for _, e := range r.w.stacked[devKey{n.n.ID, dev.Index}] {
		if e.dev.Macvlan != nil {
			out = append(out, e)
		}
	}
	return out
}

// macvlanXmit is macvlan_queue_xmit (drivers/net/macvlan.c): siblings in bridge mode
// get it, groups at once, a single one by way of the lower device's ingress
// (dev_forward_skb); everything else goes out of the lower device's wire, past the
// lower device's own stack.
func (r *run) macvlanXmit(n *netns, dev *snap.Link, k *skb) *fate {
	ln := r.w.ns[dev.PeerNetns]
	if ln == nil || ln.links[dev.Peer] == nil || dev.Macvlan == nil {
		return r.leave(n, dev, ln, k)
	}
	lower := ln.links[dev.Peer]
	if !lower.Up {
		return r.drop(n, dev, k, Where{Layer: "link", Cause: CauseNoCarrier, Ref: snap.RefLink(ln.n.ID, lower.Name), Detail: lower.Name + " of " + ln.n.ID + ", below " + dev.Name + ", is down"})
	}
	k.dropCT()
	k.route, k.Local = nil, nil
	if ln != n {
		k.Mark, k.Recent = 0, nil
	}
	var copies []copyTo
	if dev.Macvlan.Mode == "bridge" {
		for _, e := range r.macvlans(ln, lower) {
			if e.dev == dev || e.dev.Macvlan.Mode != "bridge" {
				continue
			}
			if group(k.DstMAC) || k.DstMAC == macBroadcast {
				copies = append(copies, copyTo{e.ns, e.dev, func(c *skb) *fate { return r.receive(e.ns, e.dev, c) }})
			} else if e.dev.MAC == k.DstMAC {
				return r.receive(ln, lower, k)
			}
		}
	}
	if k.DstMAC == lower.MAC && r.quiet == 0 {
		r.hop(ln, lower, "macvlan", "goes out of "+lower.Name+", whose own host it can't reach that way", "ok", k, snap.RefLink(n.n.ID, dev.Name))
	}
	copies = append(copies, copyTo{ln, lower, func(c *skb) *fate { return r.xmit(ln, lower, c) }})
	return r.spread(k, copies)
}

// macvlanRcv is macvlan_handle_frame: a frame from the wire for one of the
// devices on top; ok is false when the lower device keeps it.
func (r *run) macvlanRcv(n *netns, dev *snap.Link, k *skb) (*fate, bool) {
	list := r.macvlans(n, dev)
	if len(list) == 0 {
		return nil, false
	}
	all := k.DstMAC == macBroadcast || group(k.DstMAC)
	var copies []copyTo
	for _, e := range list {
		if !all && e.dev.MAC != k.DstMAC && e.dev.Macvlan.Mode != "passthru" || !e.dev.Up {
			continue
		}
		copies = append(copies, copyTo{e.ns, e.dev, func(c *skb) *fate {
			c.dropCT()
			if e.ns != n {
				c.Mark = 0
			}
			return r.receive(e.ns, e.dev, c)
		}})
	}
	if !all {
		if len(copies) == 0 {
			return nil, false
		}
		return r.spread(k, copies), true
	}
	copies = append(copies, copyTo{n, dev, func(c *skb) *fate {
		if br := n.bridgeOf(dev); br != nil {
			return r.bridgeRcv(n, dev, br, c)
		}
		return r.protocol(n, dev, c)
	}})
	return r.spread(k, copies), true
}

// copyTo is one receiver of a packet that goes to several.
type copyTo struct {
	ns  *netns
	dev *snap.Link
	run func(*skb) *fate
}

// spread gives every receiver a copy, and tells what became of the one that
// mattered: that which arrived, else which left, else whose end is not known,
// else that which was dropped by something but a foreign MAC.
func (r *run) spread(k *skb, copies []copyTo) *fate {
	mark := len(r.hops)
	var best *fate
	var hops []stop
	for _, c := range copies {
		kk := *k
		f := c.run(&kk)
		if r.quiet > 0 {
			r.lose(f)
			continue
		}
		if best == nil || rank(f) > rank(best) {
			best, hops = f, append([]stop(nil), r.hops[mark:]...)
		}
		r.hops = r.hops[:mark]
	}
	r.hops = append(r.hops, hops...)
	return best
}

func rank(f *fate) int {
	if f == nil {
		return 0
	}
	switch f.kind {
	case fateArrived, fateGroup:
		return 6
	case fateOutside:
		return 5
	case fateUnknown:
		return 4
	case fateDropped:
		return 3
	case fateElsewise:
		return 2
	}
	return 1
}
