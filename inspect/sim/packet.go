package sim

import (
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// What a packet has when the flow does not say: a port out of the middle of
// ip_local_port_range, an echo id, and the payload of a small question.
const (
	ephemeral  = 45678
	echoID     = 4321
	smallBytes = 13
)

// newPacket is the first packet of a flow.
func (r *run) newPacket(f Flow) *skb {
	k := r.packets.new()
	k.Family, k.Src, k.Dst = snap.FamilyOf(f.Dst), f.Src, f.Dst
	k.Sport, k.Dport, k.Mark, k.TTL = f.Sport, f.Dport, f.Mark, f.TTL
	ip := 20
	if k.Family == snap.IPv6 {
		ip = 40
	}
	if k.TTL == 0 && f.Iif != "" {
		k.TTL = outsideTTL
	}
	if k.Sport == 0 {
		k.Sport = ephemeral
	}
	size := f.Size
	if size == 0 {
		size = smallBytes
	}
	k.DF = true
	switch f.Proto {
	case snap.ICMP, snap.ICMPv6:
		k.Proto, k.ICMPType = snap.IPProtoICMP, icmpEcho
		if k.Family == snap.IPv6 {
			k.Proto, k.ICMPType = snap.IPProtoICMPv6, icmp6Echo
		}
		if f.Sport == 0 {
			k.Sport = echoID
		}
		k.Dport, k.Len, k.softDF = 0, ip+8+size, !f.DF
	case snap.UDP:
		k.Proto, k.Len, k.softDF = snap.IPProtoUDP, ip+8+size, !f.DF
	case snap.TCP:
		k.Proto, k.TCPFlags, k.TCPMSS, k.Len = snap.IPProtoTCP, rules.TCPSYN, 1460, ip+40
		if n := r.w.ns[f.From]; n != nil && f.Iif == "" && n.sysctl("net/ipv4/tcp_ecn", 2) == 1 && n.sysctl("net/ipv4/tcp_ecn_fallback", 1) == 0 {
			k.TCPFlags |= 0xc0 // ECE, CWR, on each try (net/ipv4/tcp_output.c: tcp_ecn_send_syn, tcp_ecn_clear_syn)
		}
	default:
		k.Proto, k.Len = f.Proto.Number(), ip+12+size
	}
	k.Local = r.senders.new()
	k.Local.KnownID = true
	if f.UID != nil {
		k.Local.UID = *f.UID
	}
	return k
}

// hopLimit is with how much life a packet leaves that its sender gave none: the
// route's, else the device's (net/ipv6/output_core.c:ip6_dst_hoplimit), for IPv4 the
// namespace's (include/net/route.h:ip4_dst_hoplimit).
func (n *netns) hopLimit(rt *routed, fam snap.Family) uint8 {
	v := 0
	if rt.route != nil {
		v = rt.route.HopLimit
	}
	if v == 0 && fam == snap.IPv4 {
		v = n.sysctl("net/ipv4/ip_default_ttl", 64)
	}
	if v == 0 && rt.dev != nil {
		v = n.conf(fam, rt.dev, "hop_limit")
	}
	if v == 0 {
		v = 64 // not read
	}
	return uint8(min(max(v, 1), 255))
}

// answerTo is the packet that answers k: a SYN-ACK, an echo reply, or what a
// service sends back over UDP.
func (r *run) answerTo(k *skb) *skb {
	a := r.packets.new()
	a.Family, a.Proto, a.Src, a.Dst = k.Family, k.Proto, k.Dst, k.Src
	a.Sport, a.Dport, a.DF = k.Dport, k.Sport, true
	head := 20
	if k.Family == snap.IPv6 {
		head = 40
	}
	a.Local = r.senders.new()
	switch k.Proto {
	case snap.IPProtoTCP:
		a.TCPFlags, a.TCPMSS, a.Len = rules.TCPSYN|rules.TCPACK, 1460, head+40
	case snap.IPProtoICMP, snap.IPProtoICMPv6:
		a.ICMPType = icmpEchoReply
		if k.Proto == snap.IPProtoICMPv6 {
			a.ICMPType = icmp6EchoReply
		}
		a.Sport, a.Dport, a.Len, a.softDF = k.Sport, 0, k.Len, true
		a.Local = nil
	default:
		a.Len, a.softDF = head+8+smallBytes+4, true
	}
	return a
}

// refusal is what the stack sends where nobody listens: a RST, or port
// unreachable with the head of the packet.
func (r *run) refusal(k *skb) *skb {
	a := r.answerTo(k)
	a.Local = nil
	if k.Proto == snap.IPProtoTCP {
		a.TCPFlags, a.TCPMSS, a.Len = rules.TCPRST|rules.TCPACK, 0, a.Len-20
		return a
	}
	if k.Proto == snap.IPProtoSCTP {
		return a // an ABORT chunk
	}
	t := k.tuple()
	a.inner = &t
	a.Proto, a.ICMPType, a.ICMPCode, a.Sport, a.Dport = snap.IPProtoICMP, icmpUnreachable, 3, 0, 0
	a.Len = min(20+8+k.Len, 576)
	if k.Family == snap.IPv6 {
		a.Proto, a.ICMPType, a.ICMPCode = snap.IPProtoICMPv6, icmp6Unreachable, 4
		a.Len = min(40+8+k.Len, 1280)
	}
	a.TOS = 0xc0 // IPTOS_PREC_INTERNETCONTROL
	return a
}
