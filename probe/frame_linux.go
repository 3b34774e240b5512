package probe

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// frame is an Ethernet frame with the first packet of a flow, as it would come in
// by a device from beyond this host. Port is the source port, or echo id.
func frame(q *Question, dev *snap.Link, port uint16, rst bool) ([]byte, bool) {
	to, err := net.ParseMAC(dev.MAC)
	if err != nil || len(to) != 6 {
		return nil, false // a tunnel, or a device without addresses
	}
	src, dst := q.Src.Unmap(), q.Dst.Addr().Unmap()
	if !src.IsValid() || src.Is4() != dst.Is4() {
		return nil, false
	}
	var seg []byte
	var proto uint8
	switch q.Kind {
	case "tcp":
		proto, seg = snap.IPProtoTCP, tcpFirst(port, q.Dst.Port(), rst)
	case "udp", "dns":
		proto, seg = snap.IPProtoUDP, datagram(port, q.Dst.Port(), token(q.Size))
	case "icmp":
		e := echo{v6: dst.Is6(), id: port, seq: 1, data: token(q.Size)}
		proto, seg = snap.IPProtoICMP, e.packet()
		if dst.Is6() {
			proto = snap.IPProtoICMPv6
		}
	default:
		return nil, false
	}
	b := append(append([]byte{}, to...), neighbourMAC(q.From, dev, src)...)
	if dst.Is4() {
		b = append(b, 0x08, 0x00)
	} else {
		b = append(b, 0x86, 0xdd)
	}
	return append(b, packet(src, dst, proto, seg)...), true
}

// packet is an IP packet with a segment whose checksum is filled in here.
func packet(src, dst netip.Addr, proto uint8, seg []byte) []byte {
	at := map[uint8]int{6: 16, 17: 6, 58: 2}[proto]
	if at > 0 {
		binary.BigEndian.PutUint16(seg[at:], 0)
		sum := checksum(append(pseudoHeader(src, dst, proto, len(seg)), seg...))
		if proto == snap.IPProtoUDP && sum == 0 {
			sum = 0xffff // RFC 768
		}
		binary.BigEndian.PutUint16(seg[at:], sum)
	}
	const ttl = 64
	if dst.Is4() {
		h := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, ttl, proto, 0, 0} // DF
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(seg)))
		h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(h[10:], checksum(h))
		return append(h, seg...)
	}
	h := []byte{0x60, 0, 0, 0, 0, 0, proto, ttl}
	binary.BigEndian.PutUint16(h[4:], uint16(len(seg)))
	h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
	return append(h, seg...)
}

// datagram is a UDP segment without its checksum.
func datagram(sport, dport uint16, data []byte) []byte {
	seg := binary.BigEndian.AppendUint16(nil, sport)
	seg = binary.BigEndian.AppendUint16(seg, dport)
	seg = binary.BigEndian.AppendUint16(seg, uint16(8+len(data)))
	return append(append(seg, 0, 0), data...)
}

// firstSeq is the sequence number of such a SYN; the reset that follows it has
// the next one, which is within the window (RFC 9293, 3.10.7.4).
const firstSeq = 0x6e646f63

// tcpFirst is a SYN that offers 1460 bytes, or the reset that takes it back.
func tcpFirst(sport, dport uint16, rst bool) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	seq, flags, words := uint32(firstSeq), byte(0x02), byte(6)
	if rst {
		seq, flags, words = firstSeq+1, 0x04, 5
	}
	b = binary.BigEndian.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0, words<<4, flags, 0xfa, 0xf0, 0, 0, 0, 0)
	if !rst {
		b = append(b, 2, 4, 0x05, 0xb4) // MSS
	}
	return b
}

func pseudoHeader(src, dst netip.Addr, proto uint8, n int) []byte {
	b := append(src.AsSlice(), dst.AsSlice()...)
	if src.Is4() {
		return append(b, 0, proto, byte(n>>8), byte(n))
	}
	return append(b, 0, 0, byte(n>>8), byte(n), 0, 0, 0, proto) // RFC 8200, 8.1
}

// neighbourMAC is the sender's on that device where it is known, else its
// router's, else one that nobody has: the stack does not learn from it.
func neighbourMAC(ns *snap.Netns, dev *snap.Link, src netip.Addr) []byte {
	nobody := []byte{2, 'n', 'd', 0, 0, 1}
	if ns == nil {
		return nobody
	}
	var router []byte
	for i := range ns.Neighs {
		n := &ns.Neighs[i]
		m, err := net.ParseMAC(n.MAC)
		if n.Index != dev.Index || err != nil || len(m) != 6 {
			continue
		}
		if n.IP == src {
			return m
		}
		if n.Router {
			router = m
		}
	}
	if router != nil {
		return router
	}
	return nobody
}
