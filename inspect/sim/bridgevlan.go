package sim

import "github.com/netdoctor/netdoctor/inspect/snap"

// filtering says whether the bridge that dev is or belongs to filters VLANs.
func (n *netns) filtering(br *snap.Link) bool { return br.Bridge != nil && br.Bridge.VlanFiltering }

// vlanIn is br_allowed_ingress (net/bridge/br_vlan.c): it gives the frame its
// VLAN inside the bridge; false drops it.
func (r *run) vlanIn(n *netns, br, dev *snap.Link, k *skb) bool {
	k.vid = 0
	if !n.filtering(br) {
		return true
	}
	if k.VLAN == 0 {
		for vid, o := range n.vlans[dev.Index] {
			if o.pvid {
				k.vid = vid
				return true
			}
		}
		return false
	}
	k.vid = k.VLAN
	_, ok := n.vlans[dev.Index][k.vid]
	return ok
}

// inVlan is br_allowed_egress for a frame of that VLAN.
func (r *run) inVlan(n *netns, dev *snap.Link, vid int) bool {
	_, ok := n.vlans[dev.Index][vid]
	return ok
}

// vlanOut is br_handle_vlan: the tag that the frame leaves with.
func (r *run) vlanOut(n *netns, dev *snap.Link, k *skb) {
	if k.vid == 0 {
		return
	}
	k.VLAN = k.vid
	if n.vlans[dev.Index][k.vid].untagged {
		k.VLAN = 0
	}
}
