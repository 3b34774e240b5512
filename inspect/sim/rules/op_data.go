package rules

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Expressions that move and compare data: nft_immediate.c, nft_cmp.c,
// nft_range.c, nft_bitwise.c, nft_byteorder.c.

type immediateOp struct{ *snap.Immediate }

func (o immediateOp) exec(m *machine) ctl {
	if o.Verdict != nil {
		m.verdict = *o.Verdict
		return judge
	}
	if o.Dreg == snap.VerdictReg {
		return m.unknown("a verdict that was not decoded")
	}
	m.store(o.Dreg, o.Data)
	return goOn
}

type cmpOp struct{ *snap.Cmp }

func (o cmpOp) exec(m *machine) ctl {
	v, k, ok := m.load(o.Sreg, len(o.Data))
	if !ok {
		return m.unknown("compare with a register that does not exist")
	}
	lt, eq, gt := order(v, k, o.Data)
	t, known := relation(o.Op, lt, eq, gt)
	if !known {
		return m.unknown("compare " + o.Op)
	}
	if t.is == maybe {
		t = m.chance(t, o.Sreg, len(o.Data), func(x []byte) bool {
			lt, eq, gt := order(x, nil, o.Data)
			t, _ := relation(o.Op, lt, eq, gt)
			return t.is == yes
		})
		t.why = fmt.Sprintf("%s %s %x", m.whyReg(o.Sreg, len(o.Data)), o.Op, o.Data)
	}
	return m.ask(t)
}

// relation says what a comparison is when only some outcomes are possible.
func relation(op string, lt, eq, gt bool) (truth, bool) {
	var holds, fails bool
	switch op {
	case "==":
		holds, fails = eq, lt || gt
	case "!=":
		holds, fails = lt || gt, eq
	case "<":
		holds, fails = lt, eq || gt
	case "<=":
		holds, fails = lt || eq, gt
	case ">":
		holds, fails = gt, lt || eq
	case ">=":
		holds, fails = gt || eq, lt
	default:
		return truth{}, false
	}
	if holds && fails {
		return truth{is: maybe}, true
	}
	return is(holds), true
}

type rangeOp struct{ *snap.Range }

func (o rangeOp) exec(m *machine) ctl {
	v, k, ok := m.load(o.Sreg, len(o.From))
	if !ok || len(o.From) != len(o.To) || o.Op != "==" && o.Op != "!=" {
		return m.unknown("range")
	}
	t := within(v, k, o.From, o.To)
	if t.is == maybe {
		t = m.chance(t, o.Sreg, len(o.From), func(x []byte) bool { return within(x, nil, o.From, o.To).is == yes })
		t.why = fmt.Sprintf("%s in %x-%x", m.whyReg(o.Sreg, len(o.From)), o.From, o.To)
	}
	return m.ask(t.xor(o.Op == "!="))
}

// within says whether from <= v <= to, in the order of memcmp.
func within(v, k, from, to []byte) truth {
	lt1, eq1, gt1 := order(v, k, from)
	lt2, eq2, gt2 := order(v, k, to)
	switch {
	case !eq1 && !gt1 || !eq2 && !lt2:
		return is(false)
	case !lt1 && !gt2:
		return is(true)
	}
	return truth{is: maybe}
}

type bitwiseOp struct{ *snap.Bitwise }

func (o bitwiseOp) exec(m *machine) ctl {
	v, k, ok := m.load(o.Sreg, o.Len)
	if !ok || o.Dreg < 0 || o.Dreg*4+o.Len > len(m.regs) || o.Len <= 0 {
		return m.unknown("bitwise")
	}
	why := m.whyReg(o.Sreg, o.Len)
	var dv, dk [64]byte
	n := o.Len
	switch o.Op {
	case "mask-xor", "":
		for i := range n {
			mask, x := at(o.Mask, i), at(o.Xor, i)
			dv[i], dk[i] = v[i]&mask^x&(k[i]|^mask), k[i]|^mask
		}
	case "<<", ">>":
		n = (n + 3) &^ 3 // whole words are shifted
		if v, k, ok = m.load(o.Sreg, n); !ok || len(o.Data) < 4 || o.Dreg*4+n > len(m.regs) {
			return m.unknown("shift")
		}
		shift(dv[:], dk[:], v, k, o.Op == "<<", le32(o.Data)%32)
	case "&", "|", "^":
		w, wk := o.Data, []byte(nil)
		if o.Sreg2 >= 0 {
			if w, wk, ok = m.load(o.Sreg2, n); !ok {
				return m.unknown("bitwise")
			}
		}
		for i := range n {
			a, ka, b, kb := v[i], k[i], at(w, i), byte(0xff)
			if wk != nil {
				kb = wk[i]
			}
			switch o.Op {
			case "&":
				dv[i], dk[i] = a&b, ka&kb|ka&^a|kb&^b
			case "|":
				dv[i], dk[i] = a|b, ka&kb|a|b
			case "^":
				dv[i], dk[i] = (a^b)&ka&kb, ka&kb
			}
		}
	default:
		return m.unknown("bitwise " + o.Op)
	}
	if allKnown(dk[:n]) {
		why = ""
	}
	m.storeMasked(o.Dreg, dv[:n], dk[:n], why)
	return goOn
}

func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

// shift moves bits through 32-bit words in the host's order, the first word
// being the most significant (net/netfilter/nft_bitwise.c:nft_bitwise_eval_lshift).
func shift(dv, dk, v, k []byte, left bool, by uint32) {
	words := (len(v) + 3) / 4
	word := func(b []byte, i int) uint32 {
		var w [4]byte
		copy(w[:], b[i*4:])
		return le32(w[:])
	}
	var carry, carryK uint32
	for n := range words {
		i := n
		if left {
			i = words - 1 - n
		}
		x, xk := word(v, i), word(k, i)
		switch {
		case left:
			low := uint32(1)<<by - 1
			if n > 0 {
				low = 0
			}
			put32(dv[i*4:], x<<by|carry)
			put32(dk[i*4:], xk<<by|carryK|low)
			carry, carryK = uint32(uint64(x)>>(32-by)), uint32(uint64(xk)>>(32-by))
		default:
			high := ^(^uint32(0) >> by)
			if n > 0 {
				high = 0
			}
			put32(dv[i*4:], x>>by|carry)
			put32(dk[i*4:], xk>>by|carryK|high)
			carry, carryK = uint32(uint64(x)<<(32-by)), uint32(uint64(xk)<<(32-by))
		}
	}
}

type byteorderOp struct{ *snap.Byteorder }

func (o byteorderOp) exec(m *machine) ctl {
	v, k, ok := m.load(o.Sreg, o.Len)
	if !ok || o.Dreg < 0 || o.Dreg*4+o.Len > len(m.regs) || o.Size != 2 && o.Size != 4 && o.Size != 8 {
		return m.unknown("byteorder")
	}
	// Whole units only: what is left over stays as it is in the destination.
	n := o.Len / o.Size * o.Size
	d, why := m.draw, m.whyReg(o.Sreg, o.Len)
	var dv, dk [64]byte
	for i := 0; i < n; i += o.Size {
		for j := range o.Size {
			dv[i+j], dk[i+j] = v[i+o.Size-1-j], k[i+o.Size-1-j]
		}
	}
	copy(m.regs[o.Dreg*4:], dv[:n])
	copy(m.known[o.Dreg*4:], dk[:n])
	for i := o.Dreg; i*4 < o.Dreg*4+n; i++ {
		m.why[i] = why
		if d.on && d.reg == i {
			m.draw.on = false
		}
	}
	if d.on && d.reg == o.Sreg && o.Len == 4 && o.Size == 4 {
		d.reg, d.swap = o.Dreg, !d.swap
		m.draw = d
	}
	return goOn
}
