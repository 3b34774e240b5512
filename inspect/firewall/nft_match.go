package firewall

import (
	"math/big"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// match handles comparisons and look-ups.
func (x *nftRule) match(e snap.Expr) bool {
	switch e := e.(type) {
	case *snap.Cmp:
		x.compare(x.get(e.Sreg), e.Op, e.Data)
	case *snap.Range:
		name, k := x.name(x.get(e.Sreg))
		x.relate(relation{name: name, op: e.Op, value: k.between(x.ns, e.From, e.To)})
	case *snap.Lookup:
		x.lookup(e)
	default:
		return false
	}
	return true
}

// relate adds a comparison.
func (x *nftRule) relate(r relation) *statement {
	op := " " + r.op + " "
	if r.op == "==" {
		op = " "
	}
	x.stmts = append(x.stmts, statement{text: r.name + op + r.value, rel: &r})
	return &x.stmts[len(x.stmts)-1]
}

// explicit is relate with "==" written.
func (x *nftRule) explicit(name, op, value string) {
	x.stmts = append(x.stmts, statement{text: name + " " + op + " " + value})
}

// compare handles cmp.
func (x *nftRule) compare(t *term, op string, data []byte) {
	equality := op == "==" || op == "!="
	switch {
	case t.pay != nil && !t.masked() && equality:
		x.fields(t, op, data)
		return
	case t.pay != nil && t.mask != nil && t.ops == "" && t.xor == nil && equality:
		x.maskedField(t, op, data)
		return
	case t.mask != nil && t.ops == "" && t.xor == nil && equality && bitNames(t.kind.typ) != nil:
		x.bits(t.text, t.kind, op, t.mask, data)
		return
	case t.mask != nil && t.ops == "" && t.xor == nil && op == "!=" && t.kind.typ == typeCTLabel && !hasBits(data):
		x.relate(relation{name: t.text, op: "==", value: labels(number(t.mask, t.kind.host))})
		return
	case t.mask != nil && t.ops == "" && t.xor == nil && equality && (t.kind.typ == typeIPAddr || t.kind.typ == typeIP6Addr):
		if n, ok := ones(t.mask); ok {
			x.relate(relation{name: t.text, op: op, value: t.kind.value(x.ns, data) + "/" + strconv.Itoa(n)})
			return
		}
	}
	if t.pay != nil && t.mask != nil && t.ops == "" {
		if f, shift := x.subfield(t); f != nil {
			name, k := x.name(t)
			k.size = (f.size + 7) / 8
			x.order(t, name, k, op, shifted(data, shift))
			return
		}
	}
	name, k := x.name(t)
	if n := len(data); (k.typ == typeIPAddr || k.typ == typeIP6Addr) && n < k.size && !t.masked() && equality {
		whole := append(slices.Clone(data), make([]byte, k.size-n)...) // a network of whole bytes
		x.relate(relation{name: name, op: op, value: k.value(x.ns, whole) + "/" + strconv.Itoa(n*8)})
		return
	}
	if t.masked() {
		value := k.value(x.ns, data)
		if t.pay == nil || k.typ == typeInteger || k.typ == typeBitmask {
			value = k.hexOr(x.ns, data)
		}
		x.explicit(name, op, value)
		return
	}
	if x.order(t, name, k, op, data) {
		return
	}
	value := k.value(x.ns, data)
	if bitNames(k.typ) != nil {
		n := number(data, k.host)
		value = k.bitValue(n, " | ")
		if op == "==" && bits.OnesCount64(n.Uint64()) < 2 {
			x.explicit(name, op, value)
			return
		}
	}
	s := x.relate(relation{left: t, name: name, op: op, value: value, kind: k, data: data})
	if op == "==" && t.upper != "" {
		n := number(data, k.host)
		s.upper, s.value = t.upper, n.Uint64()
		x.metaKnown(t.upper, n.Uint64())
	}
}

// order handles "<", "<=", ">" and ">=", two of which can make a range; false
// for other operators.
func (x *nftRule) order(t *term, name string, k kind, op string, data []byte) bool {
	if op == "==" || op == "!=" {
		return false
	}
	if prev := x.open(t, op); prev != nil {
		prev.dead = true
		joined := "=="
		if op == ">" {
			joined = "!="
		}
		x.relate(relation{name: name, op: joined, value: k.between(x.ns, prev.rel.data, data)})
		return true
	}
	x.relate(relation{left: t, name: name, op: op, value: k.value(x.ns, data), kind: k, data: data})
	return true
}

// hexOr writes masked values: marks with all their digits, numbers in hex.
func (k kind) hexOr(ns *snap.Netns, data []byte) string {
	if k.typ == typeInteger || k.typ == typeBitmask {
		return k.hex(data)
	}
	return k.value(ns, data)
}

// bitValue writes a whole value of a bit mask: "established | new", or the
// number where no separator is given and there are several bits.
func (k kind) bitValue(n *big.Int, sep string) string {
	v := n.Uint64()
	if s, ok := bitsText(v, bitNames(k.typ), sep); ok && s != "" && (sep != "" || bits.OnesCount64(v) == 1) {
		return s
	}
	return "0x" + n.Text(16)
}

// open is the comparison just before, when this one makes a range of it: ">= a"
// and "<= b", or "< a" and "> b" for what is outside.
func (x *nftRule) open(t *term, op string) *statement {
	if len(x.stmts) == 0 {
		return nil
	}
	s := &x.stmts[len(x.stmts)-1]
	if s.dead || s.rel == nil || s.rel.left != t {
		return nil
	}
	if s.rel.op == ">=" && op == "<=" || s.rel.op == "<" && op == ">" {
		return s
	}
	return nil
}

// fields compares packet bytes: nft joins neighbouring fields into one load,
// and cuts networks of whole bytes short.
func (x *nftRule) fields(t *term, op string, data []byte) {
	offset, left := t.pay.Offset*8, t.pay.Len*8
	whole := left
	if len(data)*8 < left {
		left = len(data) * 8
		whole = left
	}
	cut := func(size int) []byte {
		v := new(big.Int).SetBytes(data[:whole/8])
		v.Rsh(v, uint(left-size))
		v.And(v, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(size)), big.NewInt(1)))
		return v.FillBytes(make([]byte, (size+7)/8))
	}
	for left > 0 {
		h := x.headerFor(t.pay.Base, offset)
		f := h.first(offset, left, x.icmp)
		if f == nil {
			x.useRaw(t.pay)
			x.relate(relation{name: rawPayload(t.pay.Base, offset, left), op: op, value: "0x" + new(big.Int).SetBytes(cut(left)).Text(16)})
			return
		}
		if f.size > left { // a network of whole bytes
			v := append(cut(left), make([]byte, (f.size-left)/8)...)
			x.use(h, f)
			x.relate(relation{name: h.name + " " + f.name, op: op, value: kindOfType(f.typ, f.size/8).value(x.ns, v) + "/" + strconv.Itoa(left)})
			return
		}
		x.field(h, f, op, cut(f.size))
		offset += f.size
		left -= f.size
	}
}

// first is the field that begins there; a longer one than what is left only
// when it is an address.
func (h *header) first(offset, left, icmp int) *field {
	if h == nil {
		return nil
	}
	for i := range h.fields {
		f := h.at(offset, h.fields[i].size, icmp)
		if f == nil || f != &h.fields[i] {
			continue
		}
		if f.size <= left || f.typ == typeIPAddr || f.typ == typeIP6Addr || f.typ == typeEtherAddr {
			return f
		}
	}
	return nil
}

// field compares one field.
func (x *nftRule) field(h *header, f *field, op string, v []byte) {
	k := kind{f.typ, (f.size + 7) / 8, false}
	n := new(big.Int).SetBytes(v)
	if bitNames(f.typ) != nil {
		x.use(h, f)
		x.explicit(h.name+" "+f.name, op, k.bitValue(n, ""))
		return
	}
	if f.upper && op == "==" && h.base == baseTH && x.icmp == 0 {
		x.icmp = int(n.Uint64()) + 1
	}
	x.use(h, f)
	s := x.relate(relation{name: h.name + " " + f.name, op: op, value: k.value(x.ns, v)})
	if !f.upper || op != "==" {
		return
	}
	s.base, s.header, s.value = h.base, h.name, n.Uint64()
	dep := len(x.stmts)
	switch h.name {
	case "ether":
		if s.value == 0x8100 || s.value == 0x88a8 {
			x.l2 = "vlan"
			x.deps[baseLL] = dep
			return
		}
		x.l3 = networkName(s.value)
		x.deps[baseNH] = dep
	case "vlan":
		x.l3 = networkName(s.value)
		x.deps[baseNH] = dep
	case "ip", "ip6":
		x.l4 = transportName(s.value)
		x.deps[baseTH] = dep
	case "icmp", "icmpv6":
		if !echo(h.name, x.icmp) {
			x.deps[baseInner] = dep
		}
	}
}

// metaKnown notes what a meta test says about the next header, and drops the
// test that it makes superfluous (nftables: ct_meta_common_postprocess).
func (x *nftRule) metaKnown(key string, v uint64) {
	dep := len(x.stmts)
	switch key {
	case "iiftype":
		if v == 1 && x.l2 == "" {
			x.l2 = "ether"
		}
		x.deps[baseLL] = dep
		return
	case "nfproto":
		x.l3 = map[uint64]string{nfProtoIPv4: "ip", nfProtoIPv6: "ip6"}[v]
	case "protocol":
		x.l3 = networkName(v)
	case "l4proto":
		x.l4 = transportName(v)
		if d := x.dep(baseNH); d != nil && x.impliedByProto(d, v) {
			x.implied(baseNH)
		}
		x.deps[baseTH] = dep
		return
	}
	x.deps[baseNH] = dep
}

// impliedByProto says whether the test for a network header is superfluous
// once l4proto is tested: only for ICMP, which belongs to one family.
func (x *nftRule) impliedByProto(d *statement, l4 uint64) bool {
	var fam string
	switch {
	case d.upper == "nfproto":
		fam = map[uint64]string{nfProtoIPv4: "ip", nfProtoIPv6: "ip6"}[d.value]
	case d.upper == "protocol" || d.header == "ether":
		fam = networkName(d.value)
	default:
		return true
	}
	if !x.manyFamilies() {
		return fam == x.table.Family.NFT()
	}
	switch l4 {
	case snap.IPProtoICMP:
		return fam != "ip6"
	case snap.IPProtoICMPv6:
		return fam != "ip"
	}
	return false
}

// maskedField compares packet bytes under a mask.
func (x *nftRule) maskedField(t *term, op string, data []byte) {
	offset := t.pay.Offset * 8
	h := x.headerFor(t.pay.Base, offset)
	if f := h.at(offset, t.pay.Len*8, x.icmp); f != nil {
		k := kind{f.typ, t.pay.Len, t.kind.host}
		if bitNames(f.typ) != nil {
			x.use(h, f)
			x.bits(h.name+" "+f.name, k, op, t.mask, data)
			return
		}
		if f.typ == typeIPAddr || f.typ == typeIP6Addr || f.typ == typeEtherAddr {
			if n, ok := ones(t.mask); ok && f.typ != typeEtherAddr {
				x.use(h, f)
				x.relate(relation{name: h.name + " " + f.name, op: op, value: k.value(x.ns, data) + "/" + strconv.Itoa(n)})
				return
			}
		}
		x.use(h, f)
		x.explicit(h.name+" "+f.name+" & "+k.value(x.ns, t.mask), op, k.value(x.ns, data))
		return
	}
	if f, shift := x.subfield(t); f != nil {
		v := new(big.Int).SetBytes(data)
		v.Rsh(v, uint(shift))
		x.field(h, f, op, v.FillBytes(make([]byte, max((f.size+7)/8, (v.BitLen()+7)/8))))
		return
	}
	name, k := x.name(t)
	x.explicit(name, op, k.hex(data))
}

// bits compares a bit mask under a mask (nftables: relational_binop_postprocess).
func (x *nftRule) bits(name string, k kind, op string, mask, data []byte) {
	names := bitNames(k.typ)
	m, v := number(mask, k.host).Uint64(), number(data, k.host).Uint64()
	list, ok1 := bitsText(m, names, ",")
	vals, ok2 := bitsText(v, names, ",")
	if !ok1 || !ok2 {
		x.explicit(name+" & 0x"+strconv.FormatUint(m, 16), op, "0x"+strconv.FormatUint(v, 16))
		return
	}
	switch {
	case v == 0 && op == "!=":
		x.relate(relation{name: name, op: "==", value: list})
	case v == 0:
		x.relate(relation{name: name, op: "!", value: list})
	case v == m:
		if strings.Contains(list, ",") {
			x.relate(relation{name: name, op: op, value: vals + " / " + list})
		} else {
			x.explicit(name+" & "+list, op, list)
		}
	default:
		x.relate(relation{name: name, op: op, value: vals + " / " + list})
	}
}
