package sim

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fateKind is how the walk of one packet ended.
type fateKind int

const (
	fateNone     fateKind = iota // zero value: nothing to tell (an ARP message was taken in)
	fateDropped                  // where says by what
	fateUnknown                  // where says why it can't be decided
	fateOutside                  // left what the snapshot knows, by dev of ns
	fateArrived                  // was delivered locally in ns, past INPUT
	fateGroup                    // went to all who have joined a group, of whom none is known
	fateElsewise                 // another copy of it mattered, this one was for nobody (OTHERHOST)
)

// fate is how the walk of one packet, or of one copy of it, ended.
type fate struct {
	kind  fateKind
	where Where
	ns    *netns
	dev   *snap.Link
	pkt   skb
}

// verdict is what an end that stops a packet is for its flow.
func (f *fate) verdict() Verdict {
	if f.kind == fateUnknown {
		return Unknown
	}
	return Dropped
}

// skb is a packet under way: the bytes that rules see, and what the kernel
// hangs on it.
type skb struct {
	rules.Packet
	conn  *conn
	dir   int    // of conn: dirOrig or dirReply
	isNew bool   // ctinfo is NEW or RELATED: nat chains are asked
	inner *tuple // the packet that an ICMP error quotes
	// softDF: the sender would rather send fragments than not at all
	// (IP_PMTUDISC_WANT, what sockets do by default).
	softDF bool

	// neighRef and neighText are the remembered neighbour whose MAC it carries.
	neighRef  snap.Ref
	neighText string
	route     *routed // the decision that it carries along
	arp       *arpMsg
	encap     *encap
	group     uint64 // control group of the socket that sent it, if bpf programs watch over that

	// Bridging: br_netfilter's notes and the bridge's own.
	nfBridge bool       // br_netfilter's PREROUTING ran
	brIn     *snap.Link // port that it came in by; nil: made by the bridge's host
	isolated bool       // that port is isolated
	vid      int        // VLAN inside the bridge
	wire     int        // largest frame payload it makes after fragmentation, bytes; 0: Len
}

// frameLen is the IP length of the largest frame that the packet makes.
func (k *skb) frameLen() int {
	if k.wire != 0 {
		return min(k.wire, k.Len)
	}
	return k.Len
}

// tooBig says whether a router refuses the packet for its size: one that must
// not be cut, and IPv6 beyond the fragments that its sender made
// (ip_exceeds_mtu; ip6_pkt_too_big with frag_max_size, net/ipv6/ip6_output.c).
func (k *skb) tooBig(mtu int) bool {
	if k.Family == snap.IPv6 {
		return k.frameLen() > mtu
	}
	return k.DF && k.Len > mtu
}

// fragment is the largest fragment for an MTU: all but the last hold a multiple
// of 8 bytes (RFC 791 section 3.2, RFC 8200 section 4.5).
func fragment(fam snap.Family, mtu int) int {
	head := 20
	if fam == snap.IPv6 {
		head = 48
	}
	return head + (mtu-head)&^7
}

// arpMsg is an ARP or neighbour discovery message.
type arpMsg struct {
	reply    bool
	sip, tip netip.Addr
	sha      string
	// Of a reply: who gave it, and by which device.
	holder *netns
	dev    *snap.Link
}

// encap is the frame inside a VXLAN packet.
type encap struct {
	vni   uint32
	inner skb
}

// source and dest give the packet's ends as they are shown.
func (k *skb) source() netip.AddrPort { return netip.AddrPortFrom(k.Src, k.Sport) }
func (k *skb) dest() netip.AddrPort   { return netip.AddrPortFrom(k.Dst, k.Dport) }

// protoName is the flow's word for a protocol number.
func protoName(p uint8) snap.Proto {
	switch p {
	case snap.IPProtoICMP:
		return snap.ICMP
	case snap.IPProtoTCP:
		return snap.TCP
	case snap.IPProtoUDP:
		return snap.UDP
	case snap.IPProtoICMPv6:
		return snap.ICMPv6
	case snap.IPProtoSCTP:
		return snap.SCTP
	}
	return "ip"
}

// ICMP types that the walk makes and takes.
const (
	icmpEchoReply    = 0
	icmpUnreachable  = 3
	icmpEcho         = 8
	icmp6Unreachable = 1
	icmp6Echo        = 128
	icmp6EchoReply   = 129
)

// isEcho says whether the packet is an echo request of either family.
func (k *skb) isEcho() bool {
	return k.Proto == snap.IPProtoICMP && k.ICMPType == icmpEcho || k.Proto == snap.IPProtoICMPv6 && k.ICMPType == icmp6Echo
}
