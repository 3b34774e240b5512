package apply

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// actLink changes devices.
func (m *machine) actLink(ctx context.Context, op fixups.Op, now *snap.Snapshot) error {
	switch o := op.(type) {
	case *fixups.LinkSet:
		flags := uint32(0)
		if o.Up {
			flags = unix.IFF_UP
		}
		return m.linkChange(ctx, o.Where, o.Name, now, flags, unix.IFF_UP, nil)
	case *fixups.LinkMTU:
		return m.linkChange(ctx, o.Where, o.Name, now, 0, 0, func(a *attrs) { a.u32(unix.IFLA_MTU, uint32(o.MTU)) })
	case *fixups.LinkARP:
		flags := uint32(unix.IFF_NOARP)
		if o.Enable {
			flags = 0
		}
		return m.linkChange(ctx, o.Where, o.Name, now, flags, unix.IFF_NOARP, nil)
	case *fixups.LinkAttr:
		return m.linkChange(ctx, o.Where, o.Name, now, 0, 0, func(a *attrs) { linkAttr(a, o) })
	case *fixups.LinkMAC:
		mac, err := net.ParseMAC(o.MAC)
		if err != nil {
			return fmt.Errorf("MAC %q of %s: %w", o.MAC, o.Name, snap.ErrUnsupported)
		}
		return m.linkChange(ctx, o.Where, o.Name, now, 0, 0, func(a *attrs) { a.bytes(unix.IFLA_ADDRESS, mac) })
	case *fixups.LinkMaster:
		master := 0
		if o.Master != "" {
			l, err := linkIn(now, o.Where, o.Master)
			if err != nil {
				return err
			}
			master = l.Index
		}
		return m.linkChange(ctx, o.Where, o.Name, now, 0, 0, func(a *attrs) { a.u32(unix.IFLA_MASTER, uint32(master)) })
	case *fixups.PortSet:
		return m.portSet(ctx, o, now)
	case *fixups.BridgeSet:
		return m.linkChange(ctx, o.Where, o.Name, now, 0, 0, func(a *attrs) { bridgeAttrs(a, o) })
	case *fixups.LinkDel:
		l, err := linkIn(now, o.Where, o.Name)
		if err != nil {
			return err
		}
		return m.route(ctx, o.Where, unix.RTM_DELLINK, 0, ifinfo(unix.AF_UNSPEC, l.Index, 0, 0))
	case *fixups.LinkAdd:
		return m.linkAdd(ctx, o, now)
	case *fixups.XDPSet:
		return m.xdpSet(ctx, o, now)
	}
	return fmt.Errorf("operation %s: %w", op.Kind(), snap.ErrUnsupported)
}

// linkIn is a device as it was looked at.
func linkIn(s *snap.Snapshot, w fixups.Where, name string) (*snap.Link, error) {
	id := w.ID
	if w.Host {
		id = s.Host.Netns
	}
	if n := s.Ns(id); n != nil {
		if l := n.Link(name); l != nil {
			return l, nil
		}
	}
	return nil, snap.NotFoundf("no device %s in %s", name, w.ID)
}

// ifinfo is struct ifinfomsg.
func ifinfo(family uint8, index int, flags, change uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	b[0] = family
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], change)
	return b
}

// linkChange changes a device by its ifindex: a name could be another's by now.
func (m *machine) linkChange(ctx context.Context, w fixups.Where, name string, now *snap.Snapshot, flags, change uint32, more func(*attrs)) error {
	l, err := linkIn(now, w, name)
	if err != nil {
		return err
	}
	body := attrs(ifinfo(unix.AF_UNSPEC, l.Index, flags, change))
	if more != nil {
		more(&body)
	}
	return m.route(ctx, w, unix.RTM_NEWLINK, 0, body)
}

func boolByte(v bool) uint8 {
	if v {
		return 1
	}
	return 0
}

// linkAttr is what a LinkAttr sets: an attribute of the device, or of its kind.
func linkAttr(a *attrs, o *fixups.LinkAttr) {
	switch o.Attr {
	case "protodown":
		a.u8(unix.IFLA_PROTO_DOWN, boolByte(o.Value == "on"))
	case "mode": // linux/if.h: IF_LINK_MODE_DORMANT; IF_OPER_DORMANT, IF_OPER_UP
		mode, state := uint8(0), uint8(6)
		if o.Value == "dormant" {
			mode, state = 1, 5
		}
		a.u8(unix.IFLA_LINKMODE, mode)
		a.u8(unix.IFLA_OPERSTATE, state)
	case "macvlan":
		a.nested(unix.IFLA_LINKINFO, func(a *attrs) {
			a.str(unix.IFLA_INFO_KIND, "macvlan")
			a.nested(unix.IFLA_INFO_DATA, func(a *attrs) { a.u32(unix.IFLA_MACVLAN_MODE, macvlanModes[o.Value]) })
		})
	}
}

// bridgeAttrs is IFLA_LINKINFO with IFLA_BR_* (times in USER_HZ, 1/100 s).
func bridgeAttrs(a *attrs, o *fixups.BridgeSet) {
	a.nested(unix.IFLA_LINKINFO, func(a *attrs) {
		a.str(unix.IFLA_INFO_KIND, "bridge")
		a.nested(unix.IFLA_INFO_DATA, func(a *attrs) {
			if o.STP != nil {
				a.u32(unix.IFLA_BR_STP_STATE, uint32(boolByte(*o.STP)))
			}
			for _, f := range []struct {
				typ uint16
				v   *bool
			}{
				{unix.IFLA_BR_VLAN_FILTERING, o.VlanFiltering},
				{unix.IFLA_BR_MCAST_SNOOPING, o.McastSnooping},
				{unix.IFLA_BR_NF_CALL_IPTABLES, o.NFCallIPTables},
				{unix.IFLA_BR_NF_CALL_IP6TABLES, o.NFCallIP6Tables},
			} {
				if f.v != nil {
					a.u8(f.typ, boolByte(*f.v))
				}
			}
			if o.ForwardDelayMs != nil {
				a.u32(unix.IFLA_BR_FORWARD_DELAY, uint32(*o.ForwardDelayMs/10))
			}
			if o.AgeingMs != nil {
				a.u32(unix.IFLA_BR_AGEING_TIME, uint32(*o.AgeingMs/10))
			}
		})
	})
}

// portSet sets IFLA_BRPORT_* and the PVID by AF_BRIDGE, as bridge(8) does.
// IFLA_INFO_SLAVE_DATA would take the same settings, and is followed by
// NETDEV_CHANGE, at which a port that was just disabled is enabled again
// (net/core/rtnetlink.c: do_setlink; net/bridge/br_if.c: br_port_carrier_check).
func (m *machine) portSet(ctx context.Context, o *fixups.PortSet, now *snap.Snapshot) error {
	var set attrs
	for _, f := range []struct {
		typ uint16
		v   *bool
	}{
		{unix.IFLA_BRPORT_MODE, o.Hairpin},
		{unix.IFLA_BRPORT_GUARD, o.Guard},
		{unix.IFLA_BRPORT_FAST_LEAVE, o.FastLeave},
		{unix.IFLA_BRPORT_LEARNING, o.Learning},
		{unix.IFLA_BRPORT_UNICAST_FLOOD, o.Flood},
		{unix.IFLA_BRPORT_PROXYARP, o.ProxyARP},
		{unix.IFLA_BRPORT_MCAST_FLOOD, o.McastFlood},
		{unix.IFLA_BRPORT_BCAST_FLOOD, o.BcastFlood},
		{unix.IFLA_BRPORT_NEIGH_SUPPRESS, o.NeighSuppress},
		{unix.IFLA_BRPORT_ISOLATED, o.Isolated},
		{unix.IFLA_BRPORT_LOCKED, o.Locked},
	} {
		if f.v != nil {
			set.u8(f.typ, boolByte(*f.v))
		}
	}
	if o.State != nil {
		set.u8(unix.IFLA_BRPORT_STATE, uint8(*o.State))
	}
	if o.Priority != nil {
		set.u16(unix.IFLA_BRPORT_PRIORITY, *o.Priority)
	}
	if o.Cost != nil {
		set.u32(unix.IFLA_BRPORT_COST, *o.Cost)
	}
	l, err := linkIn(now, o.Where, o.Name)
	if err != nil {
		return err
	}
	if len(set) > 0 {
		body := attrs(ifinfo(unix.AF_BRIDGE, l.Index, 0, 0))
		body.bytes(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, set)
		if err := m.route(ctx, o.Where, unix.RTM_SETLINK, 0, body); err != nil {
			return err
		}
	}
	if o.PVID == nil {
		return nil
	}
	for _, v := range now.Ns(o.ID).Vlans {
		if v.Index == l.Index && v.PVID && v.VID != *o.PVID {
			if err := m.vlan(ctx, o.Where, l.Index, v.VID, unix.RTM_DELLINK); err != nil {
				return err
			}
		}
	}
	if *o.PVID == 0 {
		return nil
	}
	return m.vlan(ctx, o.Where, l.Index, *o.PVID, unix.RTM_SETLINK)
}

// include/uapi/linux/if_bridge.h.
const (
	bridgeVlanInfo = 2 // IFLA_BRIDGE_VLAN_INFO
	vlanPVID       = 2 // BRIDGE_VLAN_INFO_PVID
	vlanUntagged   = 4 // BRIDGE_VLAN_INFO_UNTAGGED
)

// vlan sets or deletes one VLAN of a port, PVID and untagged.
func (m *machine) vlan(ctx context.Context, w fixups.Where, index, vid int, typ uint16) error {
	body := attrs(ifinfo(unix.AF_BRIDGE, index, 0, 0))
	body.nested(unix.IFLA_AF_SPEC, func(a *attrs) {
		v := binary.NativeEndian.AppendUint16(nil, vlanPVID|vlanUntagged)
		if typ == unix.RTM_DELLINK {
			v = binary.NativeEndian.AppendUint16(nil, 0)
		}
		a.bytes(bridgeVlanInfo, binary.NativeEndian.AppendUint16(v, uint16(vid)))
	})
	return m.route(ctx, w, typ, 0, body)
}
