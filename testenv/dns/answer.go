package dns

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
)

// reply is an answer being written.
type reply struct {
	buf   []byte
	limit int // what the client takes
	n     int // records in the answer section
	extra int // records in the additional section
	cut   bool
}

// begin writes the header and, where it was sound, the question of q.
func (r *reply) begin(q *query, rcode int, limit int) {
	r.limit, r.n, r.extra, r.cut = limit, 0, 0, false
	r.buf = append(r.buf[:0], q.msg[:q.end]...)
	h := r.buf[:headerLen]
	h[2] = bitQR | h[2]&(0x78|bitRD) // the opcode and "recursion desired" come back
	h[3] = bitRA | byte(rcode&0xf)   // #nosec G115 -- 4 bits
	clear(h[4:])
	if q.end > headerLen {
		h[5] = 1
	}
	if q.edns {
		r.limit -= optLen
	}
}

const (
	optLen   = 11
	fixedLen = 12 // a record's head, with a pointer for its name
)

// finish counts the records and appends what the client needs to know of our
// own EDNS (RFC 6891 6.1.1: one that asked with OPT is answered with OPT).
func (r *reply) finish(q *query, rcode int) []byte {
	if r.cut {
		r.buf[2] |= bitTC
	}
	if q.edns {
		high := byte(rcode>>4) & 0xff // #nosec G115 -- codes of this package have at most 12 bits
		r.buf = append(r.buf, 0, 0, typeOPT, udpMax>>8, udpMax&0xff, high, 0, 0, 0, 0, 0)
		r.extra++
	}
	binary.BigEndian.PutUint16(r.buf[6:], uint16(r.n))      // #nosec G115 -- bounded by the message's length
	binary.BigEndian.PutUint16(r.buf[10:], uint16(r.extra)) // #nosec G115 -- as above
	return r.buf
}

// fixed appends the head of a record that belongs to the question's name.
func (r *reply) fixed(kind uint16, length int) bool {
	if len(r.buf)+fixedLen+length > r.limit {
		r.cut = true
		return false
	}
	r.buf = append(r.buf, 0xc0, headerLen)
	r.buf = binary.BigEndian.AppendUint16(r.buf, kind)
	r.buf = append(r.buf, 0, classIN, 0, 0, ttl>>8, ttl&0xff)
	r.buf = binary.BigEndian.AppendUint16(r.buf, uint16(length)) // #nosec G115 -- an address or a name
	r.n++
	return true
}

// local answers a query from the zone; false: it is for the upstreams.
func (r *reply) local(q *query, z *Zone, limit int) bool {
	if z == nil || q.class != classIN || q.odd || q.length == 0 {
		return false
	}
	switch q.qtype {
	case typeA, typeAAAA, typeMX: // MX of a name of ours: it exists, without one
		a := z.lookup(q.text(), q.qtype == typeAAAA)
		if a == nil {
			return false
		}
		r.begin(q, rcodeOK, limit)
		switch q.qtype {
		case typeA:
			r.put(typeA, 4, len(a.v4), func(i int) []byte { return a.v4[i][:] })
		case typeAAAA:
			r.put(typeAAAA, 16, len(a.v6), func(i int) []byte { return a.v6[i][:] })
		}
		return true
	case typePTR:
		addr, ok := reverse(q.text())
		if !ok {
			return false
		}
		host := z.host(addr)
		if host == "" {
			return false
		}
		r.begin(q, rcodeOK, limit)
		if w := wire(host); r.fixed(typePTR, len(w)) {
			r.buf = append(r.buf, w...)
		}
		return true
	case typeSRV:
		return r.service(q, z, limit)
	}
	return false
}

// put appends one record for each address, in random order: whoever takes the
// first one spreads over all (resolver.go: shuffleAddr).
func (r *reply) put(kind uint16, size, n int, at func(int) []byte) {
	if n == 0 {
		return
	}
	start, first := len(r.buf), 0
	if n > 1 {
		first = rand.IntN(n) // #nosec G404 -- spreads load, guards nothing
	}
	for i := 0; i < n && r.fixed(kind, size); i++ {
		r.buf = append(r.buf, at((first+i)%n)...)
	}
	size += fixedLen
	var tmp [fixedLen + 16]byte
	for i := (len(r.buf)-start)/size - 1; i > 0; i-- { // the records are of one size
		j := rand.IntN(i + 1) // #nosec G404 -- as above
		a, b := r.buf[start+i*size:start+(i+1)*size], r.buf[start+j*size:start+(j+1)*size]
		copy(tmp[:], a)
		copy(a, b)
		copy(b, tmp[:size])
	}
}

// service answers SRV, with the addresses of the targets beside it
// (resolver.go: handleSRVQuery).
func (r *reply) service(q *query, z *Zone, limit int) bool {
	targets, n := z.ports(q.text())
	if targets == nil {
		return false
	}
	r.begin(q, rcodeOK, limit)
	for _, t := range targets {
		w := wire(t.host + "." + n.name)
		if !r.fixed(typeSRV, 6+len(w)) {
			continue
		}
		r.buf = append(r.buf, 0, 0, 0, 0) // priority and weight 0
		r.buf = binary.BigEndian.AppendUint16(r.buf, t.port)
		r.buf = append(r.buf, w...)
	}
	for _, t := range targets {
		a := n.names[t.host]
		if a == nil {
			continue
		}
		w := wire(t.host + "." + n.name)
		for _, v4 := range a.v4 {
			if len(r.buf)+len(w)+14 > r.limit {
				return true // additional records may be missing without TC (RFC 2181 9)
			}
			r.buf = append(append(r.buf, w...), 0, typeA, 0, classIN, 0, 0, ttl>>8, ttl&0xff, 0, 4)
			r.buf = append(r.buf, v4[:]...)
			r.extra++
		}
	}
	return true
}

// wire is a name as it stands in a message, uncompressed. Labels that can't be
// written are cut to 63 octets, names end at 255.
func wire(name string) []byte {
	b := make([]byte, 0, len(name)+2)
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			continue
		}
		label = label[:min(len(label), 63)]
		if len(b)+1+len(label) > 254 {
			break
		}
		b = append(append(b, byte(len(label))), label...) // #nosec G115 -- at most 63
	}
	return append(b, 0)
}
