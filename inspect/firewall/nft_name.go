package firewall

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func hexText(n uint32) string { return strconv.FormatUint(uint64(n), 16) }

// headerFor is the header that a payload base means in this rule, and the
// place of its first byte, in bits; nil when it is not known.
func (x *nftRule) headerFor(base string, offset int) *header {
	switch base {
	case "ll":
		if x.l2 == "vlan" && offset >= 112 {
			return headerOf("vlan")
		}
		return headerOf("ether")
	case "nh":
		return headerOf(x.l3)
	case "th":
		if x.l4 == "" {
			return headerOf("th")
		}
		return headerOf(x.l4)
	}
	return nil
}

func baseOf(base string) int {
	switch base {
	case "ll":
		return baseLL
	case "nh":
		return baseNH
	case "th":
		return baseTH
	}
	return baseNone
}

// rawPayload is nft's notation for bytes that have no name.
func rawPayload(base string, offset, size int) string {
	if base == "inner" {
		base = "ih"
	}
	return fmt.Sprintf("@%s,%d,%d", base, offset, size)
}

// name writes a term as an expression, and how its values are written. Using a
// header makes the test for it superfluous.
func (x *nftRule) name(t *term) (string, kind) {
	if t.data != nil {
		return t.kind.value(x.ns, t.data), t.kind
	}
	if t.pay == nil {
		if t.ext != baseNone {
			x.implied(t.ext)
		}
		text := t.text
		if t.mask != nil {
			text += maskOps(t.kind, t.mask, t.xor)
		}
		return text + t.ops, t.kind
	}
	offset, size := t.pay.Offset*8, t.pay.Len*8
	h := x.headerFor(t.pay.Base, offset)
	k := kind{typeInteger, t.pay.Len, t.kind.host}
	if f := h.at(offset, size, x.icmp); f != nil {
		x.use(h, f)
		k.typ = f.typ
		text := h.name + " " + f.name
		if t.mask != nil {
			text += maskOps(k, t.mask, t.xor)
		}
		return text + t.ops, k
	}
	if f, shift := x.subfield(t); f != nil {
		x.use(h, f)
		ops := t.ops
		if shift > 0 && strings.HasPrefix(ops, " >> "+strconv.Itoa(shift)) {
			ops = strings.TrimPrefix(ops, " >> "+strconv.Itoa(shift))
		}
		return h.name + " " + f.name + ops, kind{f.typ, (f.size + 7) / 8, false}
	}
	x.useRaw(t.pay)
	text := rawPayload(t.pay.Base, offset, size)
	if t.mask != nil {
		text += maskOps(k, t.mask, t.xor)
	}
	return text + t.ops, kind{typeBitmask, t.pay.Len, false}
}

// subfield finds the field that a mask cuts out of the loaded bytes, and by
// how many bits its values are shifted.
func (x *nftRule) subfield(t *term) (*field, int) {
	if t.mask == nil || t.xor != nil || len(t.mask) != t.pay.Len {
		return nil, 0
	}
	lead, trail, n := 0, 0, 0
	for _, b := range t.mask {
		n += bits.OnesCount8(b)
	}
	for i := 0; i < len(t.mask) && t.mask[i] == 0; i++ {
		lead += 8
	}
	for i := len(t.mask) - 1; i >= 0 && t.mask[i] == 0; i-- {
		trail += 8
	}
	if n == 0 {
		return nil, 0
	}
	lead += bits.LeadingZeros8(t.mask[lead/8])
	trail += bits.TrailingZeros8(t.mask[len(t.mask)-1-trail/8])
	if lead+n+trail != len(t.mask)*8 {
		return nil, 0 // a mask with holes
	}
	offset := t.pay.Offset * 8
	h := x.headerFor(t.pay.Base, offset)
	return h.at(offset+lead, n, x.icmp), trail
}

// names writes the terms in consecutive registers as a concatenation of size
// bytes, and how each one's values are written.
func (x *nftRule) names(reg, size int) (string, []kind) {
	var list []string
	var kinds []kind
	for n := 0; n < size && reg >= 0; {
		t := x.get(reg)
		text, k := x.name(t)
		if t.pay != nil {
			k.size = max(k.size, t.pay.Len)
		}
		list = append(list, text)
		kinds = append(kinds, k)
		step := max((t.kind.size+3)/4, 1)
		n += step * 4
		reg += step
	}
	return strings.Join(list, " . "), kinds
}

// implied removes the statement that a use of the header at base makes
// superfluous.
func (x *nftRule) implied(base int) {
	i := x.deps[base]
	if i == 0 && base == baseTH {
		base = baseInner
		i = x.deps[base]
	}
	if i != 0 {
		x.stmts[i-1].dead = true
		x.deps[base] = 0
	}
}

// dep is the statement that a use of base might make superfluous; nil none.
func (x *nftRule) dep(base int) *statement {
	i := x.deps[base]
	if i == 0 && base == baseTH {
		i = x.deps[baseInner]
	}
	if i == 0 {
		return nil
	}
	return &x.stmts[i-1]
}

// manyFamilies says that the table sees packets of several protocols, so that
// a test for one means something.
func (x *nftRule) manyFamilies() bool {
	switch x.table.Family {
	case snap.Inet, snap.BridgeFamily, snap.Netdev:
		return true
	}
	return false
}

// use says that a field of a header is read (nftables: payload.c,
// payload_dependency_kill).
func (x *nftRule) use(h *header, f *field) {
	d := x.dep(h.base)
	if d == nil {
		return
	}
	if x.manyFamilies() {
		if d.base == baseNH && (d.header == "ip" || d.header == "ip6") && h.base == baseTH {
			return // "ip protocol tcp" says IPv4 too
		}
		if d.base != baseNone && d.base == h.base {
			if f.upper {
				return
			}
			if h.base == baseLL && (d.header == "vlan" || d.header == "ether" && d.value != 0x8100) {
				return
			}
		}
	}
	if h.base == baseTH && d.base == baseTH { // "icmp type": only its own fields imply it
		if f.icmp == 0 || d.header != h.name || f.icmp != x.icmp {
			return
		}
	}
	x.implied(h.base)
}

// useRaw is use for bytes without a name.
func (x *nftRule) useRaw(p *snap.Payload) {
	b := baseOf(p.Base)
	if b == baseNone {
		return
	}
	x.use(&header{base: b}, &field{})
}
