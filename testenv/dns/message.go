package dns

import (
	"encoding/binary"
	"net/netip"
)

// The packets are read and written here and not with a library: a local answer
// costs no allocation this way, and nothing of a client's packet but its
// question is ever interpreted. Numbers are of RFC 1035 4.1 unless said.
const (
	headerLen = 12
	udpMin    = 512  // RFC 1035 2.3.4
	udpMax    = 1232 // no fragments on any path: dnsflagday.net/2020
	tcpMax    = 65535

	typeA, typePTR, typeMX, typeAAAA, typeSRV, typeOPT = 1, 12, 15, 28, 33, 41
	typeIXFR, typeAXFR                                 = 251, 252
	classIN                                            = 1

	rcodeOK, rcodeFormat, rcodeServer, rcodeNotImp, rcodeRefused = 0, 1, 2, 4, 5
	rcodeBadVers                                                 = 16 // RFC 6891 9

	ttl = 600 // moby daemon/libnetwork/resolver.go: respTTL
)

// Bits of the third and fourth octet.
const (
	bitQR, bitTC, bitRD = 0x80, 0x02, 0x01
	bitRA               = 0x80
)

// query is a client's message, taken apart.
type query struct {
	msg   []byte
	qtype uint16
	class uint16
	end   int // of the question

	name   [255]byte // lower case, dots between labels, none at the end
	length int
	odd    bool // a label holds a dot or a control character: no name of ours

	edns    bool
	version byte
	size    int // the largest UDP answer that the client takes
}

func (q *query) text() []byte { return q.name[:q.length] }

// parse takes a message apart. The second result is false when it gets no
// answer at all: it is one itself (two servers would talk for ever), or shorter
// than a header. Otherwise a code other than 0 is the whole answer.
func (q *query) parse(msg []byte) (rcode int, answer bool) {
	if len(msg) < headerLen || msg[2]&bitQR != 0 {
		return 0, false
	}
	q.msg, q.end, q.edns, q.size, q.length, q.odd = msg, headerLen, false, udpMin, 0, false
	if msg[2]>>3&0xf != 0 { // before anything is looked at: other opcodes have other shapes
		return rcodeNotImp, true
	}
	if binary.BigEndian.Uint16(msg[4:]) != 1 || msg[2]&bitTC != 0 {
		return rcodeFormat, true
	}
	off, ok := q.readName(headerLen)
	if !ok || off+4 > len(msg) {
		return rcodeFormat, true
	}
	q.qtype, q.class = binary.BigEndian.Uint16(msg[off:]), binary.BigEndian.Uint16(msg[off+2:])
	off += 4
	records := int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:])) + int(binary.BigEndian.Uint16(msg[10:]))
	question := off
	for range records {
		var r record
		if r, off, ok = readRecord(msg, off); !ok {
			return rcodeFormat, true
		}
		if r.kind != typeOPT {
			continue
		}
		if q.edns || !r.root { // RFC 6891 6.1.1: one, and its name is the root
			return rcodeFormat, true
		}
		q.edns, q.size = true, max(udpMin, int(r.class))
		q.version = byte(r.ttl >> 16 & 0xff) // RFC 6891 6.1.3
	}
	q.end = question // from here on the question is known to be sound
	if q.edns && q.version != 0 {
		return rcodeBadVers, true
	}
	return rcodeOK, true
}

// readName reads the question's name. It can't be compressed: nothing stands
// before it.
func (q *query) readName(off int) (int, bool) {
	total := 1
	for {
		if off >= len(q.msg) {
			return 0, false
		}
		n := int(q.msg[off])
		off++
		if n == 0 {
			return off, true
		}
		total += n + 1
		if n > 63 || total > 255 || off+n > len(q.msg) {
			return 0, false
		}
		if q.length > 0 {
			q.name[q.length] = '.'
			q.length++
		}
		for _, c := range q.msg[off : off+n] {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			if c == '.' || c < ' ' {
				q.odd = true
			}
			q.name[q.length] = c
			q.length++
		}
		off += n
	}
}

// record is the part of a resource record that we look at.
type record struct {
	kind, class uint16
	ttl         uint32
	root        bool
}

// readRecord steps over one record.
func readRecord(msg []byte, off int) (record, int, bool) {
	var r record
	start := off
	off, ok := skipName(msg, off)
	if !ok || off+10 > len(msg) {
		return r, 0, false
	}
	r.root = off == start+1 && msg[start] == 0
	r.kind, r.class = binary.BigEndian.Uint16(msg[off:]), binary.BigEndian.Uint16(msg[off+2:])
	r.ttl = binary.BigEndian.Uint32(msg[off+4:])
	off += 10 + int(binary.BigEndian.Uint16(msg[off+8:]))
	return r, off, off <= len(msg)
}

// skipName steps over a name without following pointers, which may only lead
// backwards.
func skipName(msg []byte, off int) (int, bool) {
	for start := off; off < len(msg) && off-start < 255; {
		switch n := int(msg[off]); {
		case n == 0:
			return off + 1, true
		case n >= 0xc0:
			if off+1 >= len(msg) {
				return 0, false
			}
			to := (n&0x3f)<<8 | int(msg[off+1])
			return off + 2, to >= headerLen && to < off
		case n > 63:
			return 0, false
		default:
			off += 1 + n
		}
	}
	return 0, false
}

// reverse reads 4.3.2.1.in-addr.arpa and its IPv6 sister.
func reverse(name []byte) (netip.Addr, bool) {
	if rest, ok := cutSuffix(name, ".in-addr.arpa"); ok {
		var b [4]byte
		for i := 3; i >= 0; i-- {
			v, digits := 0, 0
			if len(rest) > 1 && rest[0] == '0' && rest[1] != '.' {
				return netip.Addr{}, false // 012 is another name than 12
			}
			for len(rest) > 0 && rest[0] != '.' {
				if rest[0] < '0' || rest[0] > '9' || digits == 3 {
					return netip.Addr{}, false
				}
				v, digits, rest = v*10+int(rest[0]-'0'), digits+1, rest[1:]
			}
			if digits == 0 || v > 255 || (len(rest) == 0) != (i == 0) {
				return netip.Addr{}, false
			}
			if i > 0 {
				rest = rest[1:]
			}
			b[i] = byte(v)
		}
		return netip.AddrFrom4(b), true
	}
	rest, ok := cutSuffix(name, ".ip6.arpa")
	if !ok || len(rest) != 63 {
		return netip.Addr{}, false
	}
	var b [16]byte
	for i := range 32 {
		v := nibble(rest[2*i])
		if v < 0 || i < 31 && rest[2*i+1] != '.' {
			return netip.Addr{}, false
		}
		b[15-i/2] |= byte(v) << (4 * (i % 2)) // #nosec G115 -- 4 bits
	}
	a := netip.AddrFrom16(b)
	return a, !a.Is4In6() // an IPv4 address has its name under in-addr.arpa
}

func nibble(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

func cutSuffix(b []byte, suffix string) ([]byte, bool) {
	if len(b) < len(suffix) || string(b[len(b)-len(suffix):]) != suffix {
		return nil, false
	}
	return b[:len(b)-len(suffix)], true
}
