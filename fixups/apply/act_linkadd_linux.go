package apply

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// linkAdd makes a device with one message, so that there is never half of one:
// asked where its lower device is, born where it belongs, on its bridge, up.
func (m *machine) linkAdd(ctx context.Context, o *fixups.LinkAdd, now *snap.Snapshot) error {
	at := o.Where
	if o.LowerIn != nil {
		at = *o.LowerIn
	}
	home, err := m.handle(ctx, o.Where)
	if err != nil {
		return err
	}
	flags := uint32(0)
	if o.Up {
		flags = unix.IFF_UP
	}
	body := attrs(ifinfo(unix.AF_UNSPEC, o.Link.Index, flags, flags))
	body.str(unix.IFLA_IFNAME, o.Link.Name)
	if at.ID != o.ID {
		body.u32(unix.IFLA_NET_NS_FD, uint32(home.Fd()))
	}
	if err := linkBasics(&body, o.Link.MAC, o.Link.MTU); err != nil {
		return err
	}
	queues(&body, o.Queues)
	if o.Link.Group != 0 {
		body.u32(unix.IFLA_GROUP, o.Link.Group)
	}
	if o.Link.TxQLen > 0 {
		body.u32(unix.IFLA_TXQLEN, uint32(o.Link.TxQLen))
	}
	lower := 0
	if o.Lower != "" {
		l, err := linkIn(now, at, o.Lower)
		if err != nil {
			return err
		}
		lower = l.Index
		if o.Link.Kind != "vxlan" {
			body.u32(unix.IFLA_LINK, uint32(lower))
		}
	}
	if o.Master != "" {
		br, err := linkIn(now, o.Where, o.Master)
		if err != nil {
			return err
		}
		body.u32(unix.IFLA_MASTER, uint32(br.Index))
	}
	data, err := m.linkData(ctx, o, lower)
	if err != nil {
		return err
	}
	body.nested(unix.IFLA_LINKINFO, func(a *attrs) {
		a.str(unix.IFLA_INFO_KIND, o.Link.Kind)
		if len(data) > 0 {
			a.bytes(unix.IFLA_INFO_DATA|unix.NLA_F_NESTED, data)
		}
	})
	if err := m.without6(o, func() error {
		return m.route(ctx, at, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body)
	}); err != nil {
		return err
	}
	return m.dress(ctx, o)
}

// without6 runs what makes a device so that it is born without IPv6, if the
// transaction is going to take IPv6 from it and its namespace is new: giving and
// taking is more work for the kernel, under the lock of all devices.
func (m *machine) without6(o *fixups.LinkAdd, birth func() error) error {
	end := o.Peer
	if end == nil {
		end = &fixups.LinkEnd{Where: o.Where, Name: o.Link.Name}
	}
	r, dev := m.rooms[end.ID], end.ID+" "+end.Name
	if r == nil {
		return birth()
	}
	if !m.plain[dev] {
		return errors.Join(r.with6(), birth())
	}
	if r.new6 == "" {
		if err := r.h.Do(func() error { r.new6 = plain6(); return nil }); err != nil {
			return err
		}
	}
	plain := r.new6 != "" && o.Peer != nil // else IPv6 is taken later
	err := birth()
	if err == nil && plain {
		m.born[dev] = true
	}
	return errors.Join(err, r.with6())
}

// takes6 says whether the transaction takes IPv6 from a device of the namespace,
// and leaves it to those that are new otherwise.
func (m *machine) takes6(id string) bool {
	takes := false
	for dev := range m.plain {
		takes = takes || strings.HasPrefix(dev, id+" ")
	}
	return takes && !m.plain[id+" default"]
}

// expectPlain notes of which devices the transaction takes IPv6.
func (m *machine) expectPlain(ops []fixups.Op) {
	m.plain, m.born = map[string]bool{}, map[string]bool{}
	for _, op := range ops {
		if dev := takenFrom(op); dev != "" {
			m.plain[dev] = true
		}
	}
}

// takenFrom is the namespace and name of the device that an operation takes IPv6
// from; "" for another operation.
func takenFrom(op fixups.Op) string {
	o, ok := op.(*fixups.SysctlSet)
	if !ok || o.Value != "1" {
		return ""
	}
	if dev, ok := strings.CutPrefix(o.Key, "net/ipv6/conf/"); ok {
		if dev, ok = strings.CutSuffix(dev, "/disable_ipv6"); ok {
			return o.ID + " " + dev
		}
	}
	return ""
}

// already says whether an operation was carried out with the namespace, or with the
// device.
func (m *machine) already(op fixups.Op) bool {
	return m.rooms[op.Netns()].has(op) || m.born[takenFrom(op)]
}

func linkBasics(a *attrs, mac string, mtu int) error {
	if mac != "" {
		hw, err := net.ParseMAC(mac)
		if err != nil {
			return fmt.Errorf("hardware address %q: %w", mac, err)
		}
		a.bytes(unix.IFLA_ADDRESS, hw)
	}
	if mtu > 0 {
		a.u32(unix.IFLA_MTU, uint32(mtu))
	}
	return nil
}

// dress gives a new device its alias, which can't be given at birth, and brings
// its other end up. Both are named by their names: they were made just now.
func (m *machine) dress(ctx context.Context, o *fixups.LinkAdd) error {
	if o.Link.Alias != "" {
		body := attrs(ifinfo(unix.AF_UNSPEC, 0, 0, 0))
		body.str(unix.IFLA_IFNAME, o.Link.Name)
		body.bytes(unix.IFLA_IFALIAS, []byte(o.Link.Alias))
		if err := m.route(ctx, o.Where, unix.RTM_NEWLINK, 0, body); err != nil {
			return err
		}
	}
	if o.Peer == nil || !o.Peer.Up {
		return nil
	}
	body := attrs(ifinfo(unix.AF_UNSPEC, 0, unix.IFF_UP, unix.IFF_UP))
	body.str(unix.IFLA_IFNAME, o.Peer.Name)
	return m.route(ctx, o.Peer.Where, unix.RTM_NEWLINK, 0, body)
}

// linkData is IFLA_INFO_DATA of a kind (include/uapi/linux/if_link.h).
func (m *machine) linkData(ctx context.Context, o *fixups.LinkAdd, lower int) (attrs, error) {
	var a attrs
	l := &o.Link
	switch {
	case l.Kind == "dummy":
	case l.Kind == "bridge":
		if l.Bridge != nil {
			bridgeData(&a, l.Bridge)
		}
	case l.Kind == "veth" && o.Peer != nil:
		return m.peerData(ctx, o)
	case l.Kind == "macvlan":
		mode := uint32(4)
		if l.Macvlan != nil {
			mode = macvlanModes[l.Macvlan.Mode]
		}
		a.u32(unix.IFLA_MACVLAN_MODE, mode)
	case l.Kind == "ipvlan":
		if l.Ipvlan != nil {
			a.u16(unix.IFLA_IPVLAN_MODE, map[string]uint16{"l2": 0, "l3": 1, "l3s": 2}[l.Ipvlan.Mode])
			a.u16(unix.IFLA_IPVLAN_FLAGS, map[string]uint16{"private": 1, "vepa": 2}[l.Ipvlan.Flag])
		}
	case l.Kind == "vlan" && l.Vlan != nil:
		a.u16(unix.IFLA_VLAN_ID, uint16(l.Vlan.ID))
		if l.Vlan.Protocol == "802.1ad" {
			a.be16(unix.IFLA_VLAN_PROTOCOL, unix.ETH_P_8021AD)
		}
	case l.Kind == "vrf" && l.VRF != nil:
		a.u32(unix.IFLA_VRF_TABLE, l.VRF.Table)
	case l.Kind == "vxlan" && l.Vxlan != nil:
		vxlanData(&a, l.Vxlan, lower)
	default:
		return nil, fmt.Errorf("making a device of kind %q: %w", l.Kind, snap.ErrUnsupported)
	}
	return a, nil
}

// bridgeData gives what is not the kernel's own choice; a bridge all of whose
// settings are zero is a new one of a plan, which takes that choice.
func bridgeData(a *attrs, b *snap.Bridge) {
	if b.STP {
		a.u32(unix.IFLA_BR_STP_STATE, 1)
	}
	for _, f := range []struct {
		typ uint16
		v   bool
	}{
		{unix.IFLA_BR_VLAN_FILTERING, b.VlanFiltering},
		{unix.IFLA_BR_NF_CALL_IPTABLES, b.NFCallIPTables},
		{unix.IFLA_BR_NF_CALL_IP6TABLES, b.NFCallIP6Tables},
		{unix.IFLA_BR_NF_CALL_ARPTABLES, b.NFCallARPTables},
	} {
		if f.v {
			a.u8(f.typ, 1)
		}
	}
	if b.GroupFwdMask != 0 {
		a.u16(unix.IFLA_BR_GROUP_FWD_MASK, b.GroupFwdMask)
	}
	if b.ForwardDelayMs != 0 {
		a.u32(unix.IFLA_BR_FORWARD_DELAY, uint32(b.ForwardDelayMs/10))
		a.u8(unix.IFLA_BR_MCAST_SNOOPING, boolByte(b.McastSnooping))
		a.u16(unix.IFLA_BR_VLAN_DEFAULT_PVID, uint16(b.DefaultPVID))
	}
	if b.AgeingMs != 0 {
		a.u32(unix.IFLA_BR_AGEING_TIME, uint32(b.AgeingMs/10))
	}
}

// queues asks for so many in each direction.
func queues(a *attrs, n int) {
	if n != 0 {
		a.u32(unix.IFLA_NUM_TX_QUEUES, uint32(n))
		a.u32(unix.IFLA_NUM_RX_QUEUES, uint32(n))
	}
}

// peerData is VETH_INFO_PEER: a whole ifinfomsg with attributes.
func (m *machine) peerData(ctx context.Context, o *fixups.LinkAdd) (attrs, error) {
	in := attrs(ifinfo(unix.AF_UNSPEC, o.Peer.Index, 0, 0))
	in.str(unix.IFLA_IFNAME, o.Peer.Name)
	queues(&in, o.Queues)
	if err := linkBasics(&in, o.Peer.MAC, o.Link.MTU); err != nil {
		return nil, err
	}
	if o.Peer.ID != o.ID {
		h, err := m.handle(ctx, o.Peer.Where)
		if err != nil {
			return nil, err
		}
		in.u32(unix.IFLA_NET_NS_FD, uint32(h.Fd()))
	}
	var a attrs
	const vethInfoPeer = 1 // include/uapi/linux/veth.h
	a.bytes(vethInfoPeer|unix.NLA_F_NESTED, in)
	return a, nil
}

func vxlanData(a *attrs, v *snap.Vxlan, lower int) {
	a.u32(unix.IFLA_VXLAN_ID, v.VNI)
	if lower != 0 {
		a.u32(unix.IFLA_VXLAN_LINK, uint32(lower))
	}
	if v.Local.Is4() {
		a.bytes(unix.IFLA_VXLAN_LOCAL, v.Local.AsSlice())
	} else if v.Local.IsValid() {
		a.bytes(unix.IFLA_VXLAN_LOCAL6, v.Local.AsSlice())
	}
	if v.Remote.Is4() {
		a.bytes(unix.IFLA_VXLAN_GROUP, v.Remote.AsSlice())
	} else if v.Remote.IsValid() {
		a.bytes(unix.IFLA_VXLAN_GROUP6, v.Remote.AsSlice())
	}
	if v.Port != 0 {
		a.be16(unix.IFLA_VXLAN_PORT, v.Port)
	}
	if v.TTL != 0 {
		a.u8(unix.IFLA_VXLAN_TTL, v.TTL)
	}
	for _, f := range []struct {
		typ uint16
		v   bool
	}{
		{unix.IFLA_VXLAN_LEARNING, v.Learning},
		{unix.IFLA_VXLAN_PROXY, v.Proxy},
		{unix.IFLA_VXLAN_L2MISS, v.L2Miss},
		{unix.IFLA_VXLAN_L3MISS, v.L3Miss},
		{unix.IFLA_VXLAN_UDP_CSUM, v.UDPCsum},
		{unix.IFLA_VXLAN_COLLECT_METADATA, v.External},
	} {
		a.u8(f.typ, boolByte(f.v))
	}
}

// u32s is a list of numbers in the kernel's byte order.
func u32s(list ...uint32) []byte {
	var b []byte
	for _, v := range list {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

// macvlanModes are linux/if_link.h's: MACVLAN_MODE_*.
var macvlanModes = map[string]uint32{"private": 1, "vepa": 2, "bridge": 4, "passthru": 8, "source": 16}
