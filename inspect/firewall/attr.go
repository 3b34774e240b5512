package firewall

import (
	"encoding/binary"
	"errors"
)

// errMalformed is what a message that breaks netlink's rules gives.
var errMalformed = errors.New("malformed message")

// native is the byte order of the kernel's own structs (xt blobs, netlink
// attribute heads); the values of nf_tables' attributes are big-endian.
var native = binary.NativeEndian

// attrs are the attributes of one object by type, nil when absent; an empty
// one is not nil.
type attrs struct {
	v [][]byte
	// extra says that there were attributes beyond those asked for: a kernel
	// newer than this program.
	extra bool
}

// maxAttrs and fewAttrs are more than any object, and any expression, has kinds
// of attributes.
const (
	maxAttrs = 32
	fewAttrs = 12
)

// newAttrs and littleAttrs have room for that many. They are inlined, so that
// the room is on the caller's stack: a rule set of 50,000 rules has a million
// of them.
func newAttrs() attrs    { return attrs{v: make([][]byte, maxAttrs)} }
func littleAttrs() attrs { return attrs{v: make([][]byte, fewAttrs)} }

// parse splits b into attributes up to type last; ok is false when b is not
// well formed (include/uapi/linux/netlink.h: heads of 4 bytes, padded to 4).
func (a *attrs) parse(b []byte, last int) (ok bool) {
	for {
		typ, v, rest, more, ok := nextAttr(b)
		if !ok {
			return false
		}
		if !more {
			return true
		}
		if typ <= last && typ < len(a.v) {
			a.v[typ] = v
		} else {
			a.extra = true
		}
		b = rest
	}
}

// nextAttr takes one attribute off b; more is false at the end. The flag bits
// of the type (NLA_F_NESTED, NLA_F_NET_BYTEORDER) are taken off.
func nextAttr(b []byte) (typ int, v, rest []byte, more, ok bool) {
	if len(b) == 0 {
		return 0, nil, nil, false, true
	}
	if len(b) < 4 {
		return 0, nil, nil, false, false
	}
	n := int(native.Uint16(b))
	if n < 4 || n > len(b) {
		return 0, nil, nil, false, false
	}
	typ = int(native.Uint16(b[2:]) & 0x3fff)
	return typ, b[4:n:n], b[min((n+3)&^3, len(b)):], true, true
}

// has says whether the attribute is there.
func (a *attrs) has(i int) bool { return a.v[i] != nil }

// values reads numbers and strings out of attributes and remembers whether one
// of them had the wrong size.
type values struct {
	*attrs
	bad bool
}

// u8 is a byte; 0 when absent.
func (r *values) u8(i int) uint8 {
	v := r.v[i]
	if v == nil {
		return 0
	}
	if len(v) < 1 {
		r.bad = true
		return 0
	}
	return v[0]
}

// u16 is a big-endian number; 0 when absent.
func (r *values) u16(i int) uint16 {
	v := r.v[i]
	if v == nil {
		return 0
	}
	if len(v) != 2 {
		r.bad = true
		return 0
	}
	return binary.BigEndian.Uint16(v)
}

// u32 is a big-endian number; 0 when absent.
func (r *values) u32(i int) uint32 {
	v := r.v[i]
	if v == nil {
		return 0
	}
	if len(v) != 4 {
		r.bad = true
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// u64 is a big-endian number; 0 when absent.
func (r *values) u64(i int) uint64 {
	v := r.v[i]
	if v == nil {
		return 0
	}
	if len(v) != 8 {
		r.bad = true
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// str is a string without its trailing zeros; "" when absent.
func (r *values) str(i int) string { return cstring(r.v[i]) }

// length is a u32 that counts bytes or offsets of a packet or register; one
// that no packet can have is bad.
func (r *values) length(i int) int {
	n := r.u32(i)
	if n > 1<<16 {
		r.bad = true
		return 0
	}
	return int(n)
}

// need marks the object as bad unless the attributes are there.
func (r *values) need(list ...int) {
	for _, i := range list {
		if r.v[i] == nil {
			r.bad = true
		}
	}
}

// cstring is b up to its first zero byte.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
