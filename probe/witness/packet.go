package witness

import (
	"encoding/binary"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// packet is what the bytes of one say, from its IP header on.
type packet struct {
	src, dst netip.AddrPort // ports 0 but for TCP, UDP and SCTP
	id       uint16         // of an echo
	icmp     bool           // it is an echo
	reply    bool           // an echo reply
	rst      bool
	proto    snap.Proto
	ttl      int
	quotes   *packet // what an ICMP error quotes
	err      *snap.ICMPInfo
}

// parse reads a packet; ok is false for what no probe sends.
func parse(b []byte) (packet, bool) { return parseDepth(b, true) }

func parseDepth(b []byte, outer bool) (p packet, ok bool) {
	if len(b) < 20 {
		return p, false
	}
	var proto uint8
	var src, dst netip.Addr
	switch b[0] >> 4 {
	case 4:
		n := int(b[0]&15) * 4
		if n < 20 || len(b) < n || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return p, false
		}
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		proto, p.ttl, b = b[9], int(b[8]), b[n:]
	case 6:
		if len(b) < 40 {
			return p, false
		}
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		proto, p.ttl, b = b[6], int(b[7]), b[40:]
	default:
		return p, false
	}
	if len(b) < 8 {
		return p, false
	}
	p.src, p.dst, p.proto = netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0), protocols[proto]
	switch proto {
	case snap.IPProtoTCP, snap.IPProtoUDP, snap.IPProtoSCTP:
		p.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
		p.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
		p.rst = proto == snap.IPProtoTCP && len(b) > 13 && b[13]&4 != 0
		return p, true
	case snap.IPProtoICMP, snap.IPProtoICMPv6:
		typ := b[0]
		switch {
		case proto == snap.IPProtoICMP && (typ == 8 || typ == 0), proto == snap.IPProtoICMPv6 && (typ == 128 || typ == 129):
			p.icmp, p.reply, p.id = true, typ == 0 || typ == 129, binary.BigEndian.Uint16(b[4:])
			return p, true
		case !outer:
			return p, false
		}
		q, ok := parseDepth(b[8:], false)
		if !ok {
			return p, false
		}
		p.quotes, p.err = &q, &snap.ICMPInfo{Type: typ, Code: b[1]}
		switch {
		case proto == snap.IPProtoICMP && typ == 3 && b[1] == 4: // RFC 1191
			p.err.MTU = int(binary.BigEndian.Uint16(b[6:]))
		case proto == snap.IPProtoICMPv6 && typ == 2: // RFC 4443, 3.2
			p.err.MTU = int(binary.BigEndian.Uint32(b[4:]))
		}
		return p, true
	}
	return p, false
}

// protocols are those that probes have.
var protocols = map[uint8]snap.Proto{1: snap.ICMP, 6: snap.TCP, 17: snap.UDP, 58: snap.ICMPv6, 132: snap.SCTP}

// key is an identity without its namespace.
type key struct {
	icmp bool
	id   uint16
}

// of gives the keys that the packet may belong to: as a question, as an answer.
func (p *packet) of() (question, answer key) {
	if p.quotes != nil {
		q, a := p.quotes.of()
		return a, q // an error about a question is an answer
	}
	if p.icmp {
		k := key{true, p.id}
		if p.reply {
			return key{}, k
		}
		return k, key{}
	}
	return key{id: p.src.Port()}, key{id: p.dst.Port()}
}
