package kernel

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// links are the devices of a namespace with what RTM_GETLINK says beside them.
type links struct {
	list []snap.Link
	// sysctls are the per-device settings, which the kernel sends along: reading
	// them as files takes 35 opens for each device.
	sysctls map[string]string
}

// readLinks dumps the devices (net/core/rtnetlink.c:rtnl_dump_ifinfo).
func (r *requester) readLinks(ctx context.Context) (links, error) {
	var out links
	reset := func() { out = links{sysctls: map[string]string{}} }
	reset()
	err := r.dump(ctx, "links", unix.RTM_GETLINK, body(unix.SizeofIfInfomsg, unix.AF_UNSPEC), reset, func(m message) {
		if l, ok := decodeLink(m.data, out.sysctls); ok {
			out.list = append(out.list, l)
		}
	})
	return out, err
}

// decodeLink decodes one RTM_NEWLINK; per-device sysctls are put into conf
// where it is not nil.
func decodeLink(b []byte, conf map[string]string) (snap.Link, bool) {
	if len(b) < unix.SizeofIfInfomsg {
		return snap.Link{}, false
	}
	hw := u16of(b[2:])
	flags := u32of(b[8:])
	l := snap.Link{
		Index:     intOf(b[4:]),
		PeerNSID:  -1,
		OperState: "unknown",
		Up:        flags&unix.IFF_UP != 0,
		LowerUp:   flags&unix.IFF_LOWER_UP != 0,
		Running:   flags&unix.IFF_RUNNING != 0,
		Loopback:  flags&unix.IFF_LOOPBACK != 0,
		NoARP:     flags&unix.IFF_NOARP != 0,
		Promisc:   flags&unix.IFF_PROMISC != 0,
		Broadcast: flags&unix.IFF_BROADCAST != 0,
		PointToPt: flags&unix.IFF_POINTOPOINT != 0,
		AllMulti:  flags&unix.IFF_ALLMULTI != 0,
	}
	if l.Loopback {
		l.Kind = "loopback"
	}
	var afSpec []byte
	for t, v := range rtattrs(b[unix.SizeofIfInfomsg:]) {
		switch t {
		case unix.IFLA_IFNAME:
			l.Name = strOf(v)
		case unix.IFLA_ADDRESS:
			if hw == unix.ARPHRD_ETHER {
				l.MAC = macOf(v)
			}
		case unix.IFLA_MTU:
			l.MTU = intOf(v)
		case unix.IFLA_LINK:
			l.Peer = intOf(v)
		case unix.IFLA_LINK_NETNSID:
			l.PeerNSID = intOf(v)
		case unix.IFLA_MASTER:
			l.Master = intOf(v)
		case unix.IFLA_OPERSTATE:
			l.OperState = operState(u8of(v))
		case unix.IFLA_LINKMODE:
			l.Dormant = u8of(v) == 1 // linux/if.h: IF_LINK_MODE_DORMANT
		case unix.IFLA_PROTO_DOWN:
			l.ProtoDown = u8of(v) != 0
		case unix.IFLA_IFALIAS:
			l.Alias = strOf(v)
		case unix.IFLA_GROUP:
			l.Group = u32of(v)
		case unix.IFLA_TXQLEN:
			l.TxQLen = intOf(v)
		case unix.IFLA_PROMISCUITY:
			// IFF_PROMISC in the flags only shows what user space asked for
			// (net/core/dev.c:dev_get_flags); a port of a bridge counts here.
			l.Promisc = l.Promisc || u32of(v) > 0
		case unix.IFLA_STATS64:
			l.Stats = decodeStats(v)
		case unix.IFLA_LINKINFO:
			decodeLinkInfo(&l, v)
		case unix.IFLA_XDP:
			l.XDP = decodeXDP(v)
		case unix.IFLA_PROP_LIST:
			for t, v := range rtattrs(v) {
				if t == unix.IFLA_ALT_IFNAME {
					l.AltName = append(l.AltName, strOf(v))
				}
			}
		case unix.IFLA_AF_SPEC:
			afSpec = v
		}
	}
	if conf != nil && l.Name != "" {
		decodeDevconf(l.Name, afSpec, conf)
	}
	return l, true
}

// operState names RFC 2863's states (linux/if.h: IF_OPER_*).
func operState(n uint8) string {
	names := [...]string{"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"}
	if int(n) < len(names) {
		return names[n]
	}
	return fmt.Sprintf("state %d", n)
}

// decodeStats reads struct rtnl_link_stats64; nil when it is too short.
func decodeStats(b []byte) *snap.LinkStats {
	if len(b) < 8*8 {
		return nil
	}
	n := func(i int) uint64 { return binary.NativeEndian.Uint64(b[8*i:]) }
	return &snap.LinkStats{
		RxPackets: n(0), TxPackets: n(1), RxBytes: n(2), TxBytes: n(3),
		RxErrors: n(4), TxErrors: n(5), RxDropped: n(6), TxDropped: n(7),
	}
}

// decodeLinkInfo reads IFLA_LINKINFO: what kind of device it is, with its own
// settings, and what it is to its master.
func decodeLinkInfo(l *snap.Link, b []byte) {
	var data, portKind, portData []byte
	for t, v := range rtattrs(b) {
		switch t {
		case unix.IFLA_INFO_KIND:
			l.Kind = strOf(v)
		case unix.IFLA_INFO_DATA:
			data = v
		case unix.IFLA_INFO_SLAVE_KIND:
			portKind = v
		case unix.IFLA_INFO_SLAVE_DATA:
			portData = v
		}
	}
	switch l.Kind {
	case "bridge":
		l.Bridge = decodeBridge(data)
	case "macvlan", "macvtap":
		l.Macvlan = decodeMacvlan(data)
	case "ipvlan", "ipvtap":
		l.Ipvlan = decodeIpvlan(data)
	case "vxlan":
		l.Vxlan = decodeVxlan(data)
	case "vlan":
		l.Vlan = decodeVlan(data)
	case "vrf":
		l.VRF = decodeVRF(data)
	}
	if strOf(portKind) == "bridge" {
		l.Port = decodePort(portData)
	}
}
