package sim

import "github.com/netdoctor/netdoctor/inspect/snap"

// vlanXmit is vlan_dev_hard_start_xmit: the tag is put on, the lower device
// sends.
func (r *run) vlanXmit(n *netns, dev *snap.Link, k *skb) *fate {
	lower := r.w.ns[dev.PeerNetns]
	if lower == nil || lower.links[dev.Peer] == nil || dev.Vlan == nil || k.VLAN != 0 {
		return r.unknown(n, dev, k, Where{Layer: "link", Cause: CauseModel, Ref: snap.RefLink(n.n.ID, dev.Name), Detail: "the device below " + dev.Name + " is not known"})
	}
	k.VLAN = dev.Vlan.ID
	return r.xmit(lower, lower.links[dev.Peer], k)
}

// vlanRcv is vlan_do_receive: a tagged frame belongs to the VLAN device of its
// number; ok is false when there is none.
func (r *run) vlanRcv(n *netns, dev *snap.Link, k *skb) (*fate, bool) {
	for _, e := range r.w.stacked[devKey{n.n.ID, dev.Index}] {
		if e.dev.Vlan == nil || e.dev.Vlan.ID != k.VLAN || !e.dev.Up {
			continue
		}
		k.VLAN = 0
		if e.ns != n {
			k.dropCT()
			k.Mark = 0
		}
		return r.receive(e.ns, e.dev, k), true
	}
	return nil, false
}
