package firewall

import (
	"bytes"
	"math/big"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// lookup handles sets, maps and verdict maps.
func (x *nftRule) lookup(e *snap.Lookup) {
	s := x.table.Set(e.Set)
	size := 4
	if s != nil {
		size = s.KeyLen
	}
	x.noteICMP(e, s)
	t := x.get(e.Sreg)
	name, kinds := x.names(e.Sreg, size)
	shift := 0
	if t.pay != nil && t.mask != nil && !strings.Contains(t.ops, ">>") {
		if f, n := x.subfield(t); f != nil {
			shift = n
		}
	}
	body := "@" + e.Set
	if s == nil {
		body = "[set " + e.Set + "]"
	} else if s.Anonymous {
		body = x.elements(s, kinds, shift)
	}
	switch {
	case e.Dreg == snap.VerdictReg:
		x.stmts = append(x.stmts, statement{text: name + " vmap " + body})
		x.deps = [baseInner + 1]int{}
	case e.Dreg != snap.NoReg:
		k := kind{typeInteger, 4, false}
		if s != nil {
			k = kindOfType(s.DataType, s.DataLen)
		}
		x.set(e.Dreg, k.size, &term{text: name + " map " + body, kind: k, joined: k.typ > typeMask})
	case e.Invert:
		x.relate(relation{name: name, op: "!=", value: body})
	default:
		x.relate(relation{name: name, op: "==", value: body})
	}
}

// noteICMP remembers the ICMP type that a look-up tests for, so that fields
// that depend on it get their names.
func (x *nftRule) noteICMP(e *snap.Lookup, s *snap.Set) {
	t := x.get(e.Sreg)
	if s == nil || !s.Anonymous || len(s.Elements) == 0 || t.pay == nil || t.masked() || x.icmp != 0 || t.pay.Base != "th" || len(s.Elements[0].Key) == 0 {
		return
	}
	if (x.l4 == "icmp" || x.l4 == "icmpv6") && t.pay.Offset == 0 && t.pay.Len == 1 {
		x.icmp = int(s.Elements[0].Key[0]) + 1
	}
}

// elements writes the members of an anonymous set.
func (x *nftRule) elements(s *snap.Set, kinds []kind, shift int) string {
	list := elementTexts(x.ns, s, kinds, shift)
	return "{ " + strings.Join(list, ", ") + " }"
}

// sortedElements orders members as nft lists them (nftables: mergesort.c):
// intervals by key, which Join did; concatenated intervals as the kernel gives
// them; others by value, bit masks by their lowest bit, concatenations as one
// little-endian number. Of equals the later one comes first.
func sortedElements(s *snap.Set, kinds []kind) []snap.Element {
	if s.Interval {
		return s.Elements
	}
	list := slices.Clone(s.Elements)
	slices.Reverse(list)
	snap.Sort(list, func(a, b snap.Element) int {
		switch {
		case a.CatchAll != b.CatchAll:
			return order(a.CatchAll)
		case len(kinds) > 1:
			return concatNumber(a.Key, kinds).Cmp(concatNumber(b.Key, kinds))
		case len(kinds) == 1 && bitNames(kinds[0].typ) != nil:
			return lowestBit(a.Key, kinds[0]) - lowestBit(b.Key, kinds[0])
		case len(kinds) == 1:
			return number(a.Key, kinds[0].host).Cmp(number(b.Key, kinds[0].host))
		}
		return bytes.Compare(a.Key, b.Key)
	})
	return list
}

func lowestBit(b []byte, k kind) int { return int(number(b, k.host).TrailingZeroBits()) }

// concatNumber is the fields without their padding, last byte first.
func concatNumber(key []byte, kinds []kind) *big.Int {
	var b []byte
	for off, i := 0, 0; i < len(kinds) && off < len(key); i++ {
		b = append(b, key[off:min(off+kinds[i].size, len(key))]...)
		off += (kinds[i].size + 3) &^ 3
	}
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// elementText writes one member.
func elementText(ns *snap.Netns, s *snap.Set, e *snap.Element, kinds []kind, shift int) string {
	text := "*"
	if !e.CatchAll {
		text = keyText(ns, e.Key, e.KeyEnd, kinds, shift, s.Interval)
	}
	if e.TimeoutMs != 0 {
		text += " timeout " + durationText(ms(e.TimeoutMs))
	}
	for _, x := range e.Exprs {
		text += " " + statefulText(x)
	}
	if e.Comment != "" {
		text += ` comment "` + e.Comment + `"`
	}
	switch {
	case e.Verdict != nil:
		text += " : " + verdictText(e.Verdict)
	case e.Object != "":
		text += ` : "` + e.Object + `"`
	case e.Data != nil:
		text += " : " + dataText(ns, s, e.Data)
	}
	return text
}

// keyText writes a key, which is a concatenation when there are several kinds.
func keyText(ns *snap.Netns, key, end []byte, kinds []kind, shift int, interval bool) string {
	if len(kinds) <= 1 {
		k := kind{typeInteger, len(key), false}
		if len(kinds) == 1 {
			k = kinds[0]
		}
		if interval {
			k.host = false // intervals are ordered, so their keys are big-endian
		}
		if shift > 0 {
			key, end = shifted(key, shift), shifted(end, shift)
		}
		return k.member(ns, key, end)
	}
	var list []string
	off := 0
	for _, k := range kinds {
		size := k.size
		if off+size > len(key) {
			size = len(key) - off
		}
		if size <= 0 {
			break
		}
		from := key[off : off+size]
		to := from
		if end != nil && off+size <= len(end) {
			to = end[off : off+size]
		}
		if interval {
			k.host = false
		}
		list = append(list, k.member(ns, from, to))
		off += (k.size + 3) &^ 3
	}
	return strings.Join(list, " . ")
}

// member is span, with " | " between the bits of a mask.
func (k kind) member(ns *snap.Netns, from, to []byte) string {
	if bitNames(k.typ) != nil && (to == nil || bytes.Equal(from, to)) {
		return k.bitValue(number(from, k.host), " | ")
	}
	return k.span(ns, from, to)
}

// shifted moves a value right by that many bits.
func shifted(b []byte, n int) []byte {
	if b == nil {
		return nil
	}
	v := new(big.Int).SetBytes(b)
	v.Rsh(v, uint(n))
	return v.FillBytes(make([]byte, len(b)))
}

// typeKinds are the kinds of a set's data or key type.
func typeKinds(typ uint32, size int) []kind {
	if typ <= typeMask {
		return []kind{kindOfType(typ, size)}
	}
	var list []kind
	for _, id := range splitType(typ) {
		list = append(list, kindOfType(id, typeSize(id)))
	}
	return list
}

// dataText writes what a map gives for a key.
func dataText(ns *snap.Netns, s *snap.Set, b []byte) string {
	kinds := typeKinds(s.DataType, len(b))
	size := 0
	for _, k := range kinds {
		size += (k.size + 3) &^ 3
	}
	if size > 0 && len(b) == 2*size && len(kinds) >= 1 { // a range: first and last
		return keyText(ns, b[:size], b[size:], kinds, 0, false)
	}
	if len(kinds) == 1 && (kinds[0].typ == typeIPAddr && len(b) == 8 || kinds[0].typ == typeIP6Addr && len(b) == 32) {
		k := kinds[0]
		return k.span(ns, b[:len(b)/2], b[len(b)/2:])
	}
	return keyText(ns, b, nil, kinds, 0, false)
}
