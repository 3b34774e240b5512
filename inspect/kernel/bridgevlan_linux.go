package kernel

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of linux/if_bridge.h.
const (
	bridgeVlanInfo       = 2 // IFLA_BRIDGE_VLAN_INFO
	bridgeVlanPVID       = 1 << 1
	bridgeVlanUntagged   = 1 << 2
	bridgeVlanRangeBegin = 1 << 3
	bridgeVlanRangeEnd   = 1 << 4
	extFilterBridgeVlan  = 1 << 1 // linux/rtnetlink.h: RTEXT_FILTER_BRVLAN
)

// readVlans dumps the VLANs of the ports of bridges that filter by VLAN; where
// none does there is nothing to read.
func (r *requester) readVlans(ctx context.Context, devs []snap.Link) ([]snap.BridgeVlan, error) {
	filtering := map[int]bool{}
	for _, l := range devs {
		if l.Bridge != nil && l.Bridge.VlanFiltering {
			filtering[l.Index] = true
		}
	}
	if len(filtering) == 0 {
		return nil, nil
	}
	var out []snap.BridgeVlan
	req := putU32(body(unix.SizeofIfInfomsg, unix.AF_BRIDGE), unix.IFLA_EXT_MASK, extFilterBridgeVlan)
	err := r.dump(ctx, "bridge VLANs", unix.RTM_GETLINK, req, func() { out = nil }, func(m message) {
		vlans, master := decodeVlans(m.data)
		if filtering[master] {
			out = append(out, vlans...)
		}
	})
	return out, err
}

// decodeVlans decodes one RTM_NEWLINK of AF_BRIDGE (net/bridge/br_netlink.c:
// br_fill_ifvlaninfo). The bridge itself is its own master.
func decodeVlans(b []byte) (out []snap.BridgeVlan, master int) {
	if len(b) < unix.SizeofIfInfomsg || b[0] != unix.AF_BRIDGE {
		return nil, 0
	}
	index := intOf(b[4:])
	master = index
	first := 0
	for t, v := range rtattrs(b[unix.SizeofIfInfomsg:]) {
		switch t {
		case unix.IFLA_MASTER:
			master = intOf(v)
		case unix.IFLA_AF_SPEC:
			for t, v := range rtattrs(v) {
				if t != bridgeVlanInfo || len(v) < 4 {
					continue
				}
				flags, vid := u16of(v), int(u16of(v[2:]))
				if flags&bridgeVlanRangeBegin != 0 {
					first = vid
					continue
				}
				if flags&bridgeVlanRangeEnd == 0 {
					first = vid
				}
				for id := first; id <= vid && id > 0; id++ {
					out = append(out, snap.BridgeVlan{
						Index: index, VID: id,
						PVID: flags&bridgeVlanPVID != 0, Untagged: flags&bridgeVlanUntagged != 0,
					})
				}
			}
		}
	}
	return out, master
}
