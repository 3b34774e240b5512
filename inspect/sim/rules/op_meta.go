package rules

import (
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// metaOp reads or sets a property of the packet (net/netfilter/nft_meta.c,
// net/bridge/netfilter/nft_meta_bridge.c).
type metaOp struct{ *snap.Meta }

func (o metaOp) exec(m *machine) ctl {
	if o.Dreg == snap.NoReg {
		return o.write(m)
	}
	p := &m.pkt
	switch o.Key {
	case "len":
		if p.Len == 0 {
			return o.hidden(m, 4)
		}
		m.store32(o.Dreg, uint32(m.skbLen()))
	case "protocol":
		if t := p.etherType(); t != 0 {
			m.storeBE16(o.Dreg, t)
		} else {
			return o.hidden(m, 2)
		}
	case "nfproto":
		m.store8(o.Dreg, m.nfproto())
	case "l4proto":
		if !p.isIP() {
			return leave
		}
		m.store8(o.Dreg, p.Proto)
	case "mark":
		m.store32masked(o.Dreg, p.Mark, p.MarkUnknown, "the packet's mark")
	case "priority":
		m.store32(o.Dreg, p.Priority)
	case "pkttype":
		if m.pkt.PktType == "loopback" {
			m.store8(o.Dreg, loopbackType(p))
		} else {
			m.store8(o.Dreg, pktType(p.PktType))
		}
	case "iif":
		m.store32(o.Dreg, uint32(p.Iif))
	case "oif":
		m.store32(o.Dreg, uint32(p.Oif))
	case "iifname", "oifname", "ibrname", "obrname", "iifkind", "oifkind", "iifgroup", "oifgroup", "iiftype", "oiftype",
		"ibrpvid", "ibrvproto":
		return o.device(m)
	case "sdif", "sdifname":
		return o.sdif(m)
	case "skuid", "skgid", "cgroup":
		return o.sender(m)
	case "time", "day", "hour":
		return o.clock(m)
	case "secpath":
		m.store8(o.Dreg, byte(bit16(p.IPsec, 1)))
	case "random":
		m.forget(o.Dreg, 4, "a random number")
	case "cpu", "rtclassid", "secmark", "nftrace", "broute":
		return o.hidden(m, 4)
	default:
		m.forget(o.Dreg, 16, "meta "+o.Key)
		return m.ask(unsure("whether the packet has meta " + o.Key))
	}
	return goOn
}

// hidden stores n bytes that are not known.
//
//go:noinline
func (o metaOp) hidden(m *machine, n int) ctl {
	m.forget(o.Dreg, n, "meta "+o.Key)
	return goOn
}

// skbLen is skb->len: on egress of a device it counts the Ethernet header.
func (m *machine) skbLen() int {
	if m.base.Chain.Hook == "egress" {
		if b, _, ok, known := m.pkt.link(); ok && known {
			return m.pkt.Len + len(b)
		}
	}
	return m.pkt.Len
}

// nfproto is the protocol family of the hook that runs.
func (m *machine) nfproto() uint8 {
	f := m.base.Table.Family
	if f == snap.Inet {
		f = m.pkt.Family
	}
	switch f {
	case snap.IPv4:
		return 2
	case snap.ARP:
		return 3
	case snap.Netdev:
		return 5
	case snap.BridgeFamily:
		return 7
	case snap.IPv6:
		return 10
	}
	return 0
}

// pktType is a packet type's number (include/uapi/linux/if_packet.h). What is
// sent from here has the same as what came in for this host.
func pktType(s string) uint8 {
	switch s {
	case "broadcast":
		return 1
	case "multicast":
		return 2
	case "otherhost":
		return 3
	case "outgoing":
		return 4
	case "loopback":
		return 5
	}
	return 0
}

// loopbackType is what a copy looped back on output counts as.
func loopbackType(p *Packet) uint8 {
	if p.Family == snap.IPv6 || p.Dst.IsMulticast() {
		return 2
	}
	return 1
}

func (m *machine) store32masked(reg int, v, unknown uint32, why string) {
	if unknown == 0 {
		m.store32(reg, v)
		return
	}
	var b, k [4]byte
	put32(b[:], v)
	put32(k[:], ^unknown)
	m.storeMasked(reg, b[:], k[:], why)
}

// device reads a property of the device that the packet came or goes by.
func (o metaOp) device(m *machine) ctl {
	index := m.pkt.Iif
	if o.Key[0] == 'o' {
		index = m.pkt.Oif
	}
	var l *snap.Link
	if index != 0 {
		if l = m.env.Link(index); l == nil {
			m.forget(o.Dreg, 16, "meta "+o.Key+" of a device that was not read")
			return goOn
		}
	}
	var name string
	switch o.Key[1:] {
	case "ifname":
		if l != nil {
			name = l.Name
		}
	case "brname":
		if l != nil && l.Port != nil && l.Master != 0 {
			br := m.env.Link(l.Master)
			if br == nil {
				return o.hidden(m, 16)
			}
			name = br.Name
		}
	case "ifkind":
		// lo and physical devices have no rtnl_link_ops.
		if l == nil || l.Kind == "" || l.Kind == "loopback" {
			return leave
		}
		name = l.Kind
	case "ifgroup":
		if l == nil {
			return leave
		}
		m.store32(o.Dreg, l.Group)
		return goOn
	case "iftype":
		return o.hardware(m, l)
	default:
		return o.portVLAN(m, l)
	}
	var b [16]byte
	copy(b[:15], name)
	m.store(o.Dreg, b[:])
	return goOn
}

// hardware reads iiftype or oiftype of a device; nil for none.
func (o metaOp) hardware(m *machine, l *snap.Link) ctl {
	hook := m.base.Chain.Hook
	out := o.Key[0] == 'i' && l == nil && m.pkt.Oif != 0 && (hook == "egress" || hook == "postrouting")
	if out {
		// Newer kernels take the device that the packet is at (nft_meta.c:
		// nft_meta_get_eval_ifname, NFT_META_IFTYPE), older ones that by which it
		// came in, of which there is none.
		if l = m.env.Link(m.pkt.Oif); l == nil {
			return o.hidden(m, 2)
		}
	}
	if l == nil {
		return leave
	}
	t, ok := arpHardware(l)
	if !ok {
		return o.hidden(m, 2)
	}
	m.store(o.Dreg, []byte{byte(t), byte(t >> 8)})
	if out {
		return m.ask(unsure("whether this kernel has meta iiftype on the way out"))
	}
	return goOn
}

// portVLAN reads ibrpvid or ibrvproto, which a port of a bridge with VLAN filtering
// has; l is nil for no device.
func (o metaOp) portVLAN(m *machine, l *snap.Link) ctl {
	if l == nil || l.Port == nil || l.Master == 0 {
		return leave
	}
	br := m.env.Link(l.Master)
	switch {
	case br == nil || br.Bridge == nil:
		m.forget(o.Dreg, 2, "meta "+o.Key)
		return m.ask(unsure("whether VLAN filtering is on"))
	case !br.Bridge.VlanFiltering:
		return leave
	}
	return o.hidden(m, 2)
}

// arpHardware is the device's ARPHRD_ number, as far as it follows from its
// kind (include/uapi/linux/if_arp.h).
func arpHardware(l *snap.Link) (uint16, bool) {
	switch {
	case l.Loopback || l.Kind == "loopback":
		return 772, true
	case len(l.MAC) == 17:
		return 1, true
	case l.Kind == "wireguard" || l.Kind == "tun":
		return 65534, true
	}
	return 0, false
}

// sdif is the slave device below a VRF that the packet came by.
func (o metaOp) sdif(m *machine) ctl {
	n := 4
	if o.Key == "sdifname" {
		n = 16
	}
	if l := m.env.Link(m.pkt.Iif); m.pkt.Iif != 0 && (l == nil || l.VRF != nil) {
		return o.hidden(m, n)
	}
	m.store(o.Dreg, make([]byte, n))
	return goOn
}

// sender reads what the sending socket tells
// (nft_meta_get_eval_skugid, nft_meta_get_eval_cgroup).
func (o metaOp) sender(m *machine) ctl {
	s := m.pkt.Local
	switch {
	case s == nil && !m.maySteal():
		return leave
	case s == nil || !s.KnownID && o.Key != "cgroup":
		m.forget(o.Dreg, 4, "meta "+o.Key)
		return m.ask(unsure("whether the packet has a socket with an owner"))
	case o.Key == "skuid":
		m.store32(o.Dreg, s.UID)
	case o.Key == "skgid":
		m.store32(o.Dreg, s.GID)
	default:
		return o.hidden(m, 4)
	}
	return goOn
}

// maySteal says whether a received packet may have found its socket early:
// connected ones are looked up before INPUT (net/ipv4/ip_input.c:ip_rcv_finish_core).
func (m *machine) maySteal() bool {
	p := &m.pkt
	return m.base.Chain.Hook == "input" && p.CT.State != "new" && (p.Proto == snap.IPProtoTCP || p.Proto == snap.IPProtoUDP)
}

// clock reads the time. The kernel's idea of the time zone, which the day
// depends on, can't be read.
func (o metaOp) clock(m *machine) ctl {
	now := m.env.Now().UTC()
	switch o.Key {
	case "time":
		var b [8]byte
		ns := uint64(now.UnixNano())
		put32(b[:], uint32(ns))
		put32(b[4:], uint32(ns>>32))
		m.store(o.Dreg, b[:])
	case "hour":
		m.store32(o.Dreg, uint32(now.Hour()*3600+now.Minute()*60+now.Second()))
	default:
		m.forget(o.Dreg, 1, "the day of the week in the kernel's time zone")
	}
	return goOn
}

func (o metaOp) write(m *machine) ctl {
	v, unknown, ok := m.load32(o.Sreg)
	if !ok {
		return m.unknown("meta " + o.Key + " set")
	}
	switch o.Key {
	case "mark":
		m.pkt.Mark, m.pkt.MarkUnknown = v, unknown
	case "priority":
		if unknown == 0 {
			m.pkt.Priority = v
		}
	case "pkttype":
		names := []string{"host", "broadcast", "multicast", "otherhost"}
		if b := v & 0xff; unknown&0xff == 0 && int(b) < len(names) {
			m.pkt.PktType = names[b]
		}
	case "broute":
		if v&0xff != 0 || unknown&0xff != 0 {
			return m.unknown("meta broute set")
		}
	case "nftrace", "secmark":
	default:
		if strings.HasPrefix(o.Key, "key:") {
			return m.unknown("meta " + o.Key + " set")
		}
	}
	return goOn
}
