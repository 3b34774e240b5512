package diag

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// whole puts a rule of that text before one that is there.
func (m *meant) whole(p *rules.Place, text string) fixups.Op {
	op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(m.in.Snap, m.ns.ID, m.t, p.Chain), Position: p.Num, Text: text}
	if m.t.System != snap.NFT {
		op.Text, op.Args = "", intent.Args(text)
	}
	return op
}

// rule is whole with one word changed: nft's, expression by expression, as those of a set in
// braces have no other way.
func (m *meant) rule(p *rules.Place, what, word, has, text string) fixups.Op {
	if m.t.System != snap.NFT {
		return m.whole(p, text)
	}
	r := *p.Rule
	r.Exprs, r.Raw, r.Handle = slices.Clone(r.Exprs), nil, 0
	op := &fixups.RuleRestore{ChainRef: fixups.ChainAt(m.in.Snap, m.ns.ID, m.t, p.Chain), Num: p.Num, Rule: r, Text: text}
	changed := false
	was, is := compared(what, word), compared(what, has)
	for i, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Cmp:
			if was != nil && bytes.Equal(x.Data, was) && x.Op == "==" && len(was) == len(is) && !changed {
				y := *x
				y.Data, changed = is, true
				r.Exprs[i] = &y
			}
		case *snap.Lookup:
			s := m.t.Set(x.Set)
			if s == nil || !s.Anonymous || len(s.Fields) > 1 {
				continue
			}
			set, y := *s, *x
			set.Elements = slices.Clone(s.Elements)
			for k := range set.Elements {
				if elementWord(what, &set.Elements[k]) == word {
					if e := elementOf(what, has, s); e != nil {
						set.Elements[k], changed = *e, true
					}
				}
			}
			set.Name += "~"
			y.Set, r.Exprs[i] = set.Name, &y
			op.Sets = append(op.Sets, set)
		}
	}
	if !changed {
		return m.whole(p, text)
	}
	return op
}

// compared is a word as nft compares it with what a register holds; nil for networks that
// do not end with a byte, which it masks first.
func compared(what, word string) []byte {
	if what == "dev" {
		return append([]byte(word), make([]byte, max(0, 16-len(word)))...)
	}
	if p, err := netip.ParsePrefix(word); err == nil && p.Bits()%8 == 0 {
		return p.Addr().AsSlice()[:p.Bits()/8]
	}
	if n, err := strconv.ParseUint(word, 10, 16); err == nil {
		return binary.BigEndian.AppendUint16(nil, uint16(n))
	}
	return nil
}

// elements are those that one of a set's was meant for.
func (m *meant) elements(w *sim.Where, what string, s *snap.Set) []Near {
	var out []Near
	if s.Anonymous || s.Constant || len(s.Fields) > 1 {
		return nil
	}
	for i := range s.Elements {
		word := elementWord(what, &s.Elements[i])
		if word == "" {
			continue
		}
		for _, has := range m.near(what, word) {
			if e := elementOf(what, has, s); e != nil {
				out = append(out, Near{Where: w, Is: word, Has: has, Set: s.Name,
					Op: &fixups.SetElementAdd{ChainRef: fixups.ChainAt(m.in.Snap, m.ns.ID, m.t, w.Rule.Chain), Set: s.Name, Fields: s.Fields, Elements: []snap.Element{*e}}})
			}
		}
	}
	return out
}

// elementWord is an element as people write it: a port, a network, a device; "" for any other.
func elementWord(what string, e *snap.Element) string {
	switch what {
	case "dev":
		return strings.TrimRight(string(e.Key), "\x00")
	case "port", "sent":
		if len(e.Key) == 2 && (e.KeyEnd == nil || string(e.KeyEnd) == string(e.Key)) {
			return strconv.Itoa(int(binary.BigEndian.Uint16(e.Key)))
		}
	case "src", "dst":
		from, ok := netip.AddrFromSlice(e.Key)
		to, whole := netip.AddrFromSlice(e.KeyEnd)
		for bits := 0; ok && whole && bits < from.BitLen(); bits++ {
			if p := netip.PrefixFrom(from, bits).Masked(); p.Addr() == from && snap.LastAddr(p) == to {
				return p.String()
			}
		}
	}
	return ""
}

// elementOf is a word as an element of a set; nil where the set can't have it.
func elementOf(what, word string, s *snap.Set) *snap.Element {
	e := &snap.Element{}
	switch what {
	case "dev":
		e.Key = append([]byte(word), make([]byte, max(0, s.KeyLen-len(word)))...)
	case "port", "sent":
		n, _ := strconv.ParseUint(word, 10, 16)
		e.Key = binary.BigEndian.AppendUint16(nil, uint16(n))
	default:
		p := netip.MustParsePrefix(word)
		if !s.Interval {
			return nil
		}
		e.Key, e.KeyEnd = p.Addr().AsSlice(), snap.LastAddr(p).AsSlice()
	}
	if s.Interval && e.KeyEnd == nil {
		e.KeyEnd = e.Key
	}
	if len(e.Key) != s.KeyLen {
		return nil
	}
	return e
}
