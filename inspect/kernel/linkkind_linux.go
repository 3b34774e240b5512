package kernel

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// userHZ is the unit of times in netlink's bridge attributes: clock_t of
// 1/100 s on every architecture that Go runs on (asm/param.h:USER_HZ).
const userHZ = 100

func clockMs(b []byte) int64 { return int64(u32of(b)) * (1000 / userHZ) }

// ethProto names the tag protocol of a VLAN.
func ethProto(b []byte) string {
	switch v := be16of(b); v {
	case unix.ETH_P_8021Q:
		return "802.1Q"
	case unix.ETH_P_8021AD:
		return "802.1ad"
	default:
		return fmt.Sprintf("0x%04x", v)
	}
}

// noLinkLocalLearn is BR_BOOLOPT_NO_LL_LEARN (linux/if_bridge.h).
const noLinkLocalLearn = 1 << 0

func decodeBridge(b []byte) *snap.Bridge {
	br := &snap.Bridge{}
	for t, v := range rtattrs(b) {
		switch t {
		case unix.IFLA_BR_STP_STATE:
			br.STP = u32of(v) != 0
		case unix.IFLA_BR_VLAN_FILTERING:
			br.VlanFiltering = flagOf(v)
		case unix.IFLA_BR_VLAN_PROTOCOL:
			br.VlanProtocol = ethProto(v)
		case unix.IFLA_BR_VLAN_DEFAULT_PVID:
			br.DefaultPVID = int(u16of(v))
		case unix.IFLA_BR_FORWARD_DELAY:
			br.ForwardDelayMs = clockMs(v)
		case unix.IFLA_BR_AGEING_TIME:
			br.AgeingMs = clockMs(v)
		case unix.IFLA_BR_MCAST_SNOOPING:
			br.McastSnooping = flagOf(v)
		case unix.IFLA_BR_MCAST_QUERIER_STATE: // of either family only while there is one
			for q := range rtattrs(v) {
				br.Querier4, br.Querier6 = br.Querier4 || q == querierIPv4, br.Querier6 || q == querierIPv6
			}
		case unix.IFLA_BR_NF_CALL_IPTABLES:
			br.NFCallIPTables = flagOf(v)
		case unix.IFLA_BR_NF_CALL_IP6TABLES:
			br.NFCallIP6Tables = flagOf(v)
		case unix.IFLA_BR_NF_CALL_ARPTABLES:
			br.NFCallARPTables = flagOf(v)
		case unix.IFLA_BR_GROUP_FWD_MASK:
			br.GroupFwdMask = u16of(v)
		case unix.IFLA_BR_MULTI_BOOLOPT: // struct br_boolopt_multi: values, then mask
			br.NoLinkLocalLearn = u32of(v)&noLinkLocalLearn != 0
		}
	}
	return br
}

func decodePort(b []byte) *snap.BridgePort {
	p := &snap.BridgePort{}
	for t, v := range rtattrs(b) {
		switch t {
		case unix.IFLA_BRPORT_STATE:
			p.State = int(u8of(v))
		case unix.IFLA_BRPORT_PRIORITY:
			p.Priority = u16of(v)
		case unix.IFLA_BRPORT_COST:
			p.Cost = u32of(v)
		case unix.IFLA_BRPORT_NO:
			p.No = u16of(v)
		case unix.IFLA_BRPORT_MODE:
			p.Hairpin = flagOf(v)
		case unix.IFLA_BRPORT_GUARD:
			p.Guard = flagOf(v)
		case unix.IFLA_BRPORT_FAST_LEAVE:
			p.FastLeave = flagOf(v)
		case unix.IFLA_BRPORT_LEARNING:
			p.Learning = flagOf(v)
		case unix.IFLA_BRPORT_UNICAST_FLOOD:
			p.Flood = flagOf(v)
		case unix.IFLA_BRPORT_MCAST_FLOOD:
			p.McastFlood = flagOf(v)
		case unix.IFLA_BRPORT_BCAST_FLOOD:
			p.BcastFlood = flagOf(v)
		case unix.IFLA_BRPORT_PROXYARP:
			p.ProxyARP = flagOf(v)
		case unix.IFLA_BRPORT_PROXYARP_WIFI:
			p.ProxyARPWifi = flagOf(v)
		case unix.IFLA_BRPORT_NEIGH_SUPPRESS:
			p.NeighSuppr = flagOf(v)
		case unix.IFLA_BRPORT_ISOLATED:
			p.Isolated = flagOf(v)
		case unix.IFLA_BRPORT_LOCKED:
			p.Locked = flagOf(v)
		case unix.IFLA_BRPORT_MAB:
			p.MAB = flagOf(v)
		case unix.IFLA_BRPORT_BACKUP_PORT:
			p.BackupPort = intOf(v)
		case unix.IFLA_BRPORT_VLAN_TUNNEL:
			p.VlanTunnel = flagOf(v)
		}
	}
	return p
}

func decodeMacvlan(b []byte) *snap.Macvlan {
	m := &snap.Macvlan{}
	for t, v := range rtattrs(b) {
		switch t {
		case unix.IFLA_MACVLAN_MODE: // linux/if_link.h: enum macvlan_mode
			switch n := u32of(v); n {
			case 1:
				m.Mode = "private"
			case 2:
				m.Mode = "vepa"
			case 4:
				m.Mode = "bridge"
			case 8:
				m.Mode = "passthru"
			case 16:
				m.Mode = "source"
			default:
				m.Mode = fmt.Sprintf("mode %d", n)
			}
		case unix.IFLA_MACVLAN_FLAGS:
			m.NoPromisc = u16of(v)&1 != 0 // MACVLAN_FLAG_NOPROMISC
		}
	}
	return m
}

func decodeIpvlan(b []byte) *snap.Ipvlan {
	p := &snap.Ipvlan{Flag: "bridge"}
	for t, v := range rtattrs(b) {
		switch t {
		case unix.IFLA_IPVLAN_MODE:
			names := [...]string{"l2", "l3", "l3s"}
			if n := int(u16of(v)); n < len(names) {
				p.Mode = names[n]
			} else {
				p.Mode = fmt.Sprintf("mode %d", n)
			}
		case unix.IFLA_IPVLAN_FLAGS:
			switch f := u16of(v); { // linux/if_link.h: IPVLAN_F_*
			case f&1 != 0:
				p.Flag = "private"
			case f&2 != 0:
				p.Flag = "vepa"
			}
		}
	}
	return p
}

func decodeVxlan(b []byte) *snap.Vxlan {
	x := &snap.Vxlan{}
	for t, v := range rtattrs(b) {
		switch t {
		case unix.IFLA_VXLAN_ID:
			x.VNI = u32of(v)
		case unix.IFLA_VXLAN_GROUP, unix.IFLA_VXLAN_GROUP6:
			x.Remote = ipOf(v)
		case unix.IFLA_VXLAN_LOCAL, unix.IFLA_VXLAN_LOCAL6:
			x.Local = ipOf(v)
		case unix.IFLA_VXLAN_LINK:
			x.Lower = intOf(v)
		case unix.IFLA_VXLAN_PORT:
			x.Port = be16of(v)
		case unix.IFLA_VXLAN_LEARNING:
			x.Learning = flagOf(v)
		case unix.IFLA_VXLAN_PROXY:
			x.Proxy = flagOf(v)
		case unix.IFLA_VXLAN_L2MISS:
			x.L2Miss = flagOf(v)
		case unix.IFLA_VXLAN_L3MISS:
			x.L3Miss = flagOf(v)
		case unix.IFLA_VXLAN_UDP_CSUM:
			x.UDPCsum = flagOf(v)
		case unix.IFLA_VXLAN_COLLECT_METADATA:
			x.External = flagOf(v)
		case unix.IFLA_VXLAN_TTL:
			x.TTL = u8of(v)
		}
	}
	return x
}

func decodeVlan(b []byte) *snap.Vlan {
	x := &snap.Vlan{}
	for t, v := range rtattrs(b) {
		switch t {
		case unix.IFLA_VLAN_ID:
			x.ID = int(u16of(v))
		case unix.IFLA_VLAN_PROTOCOL:
			x.Protocol = ethProto(v)
		}
	}
	return x
}

func decodeVRF(b []byte) *snap.VRF {
	x := &snap.VRF{}
	for t, v := range rtattrs(b) {
		if t == unix.IFLA_VRF_TABLE {
			x.Table = u32of(v)
		}
	}
	return x
}
