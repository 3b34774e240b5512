package rules

import (
	"bytes"
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// lookupOp searches a set, a map or a verdict map (net/netfilter/nft_lookup.c).
type lookupOp struct {
	*snap.Lookup
	set *set
}

// found is one possible answer of a look-up.
type found struct {
	e      *element // nil: not there
	weight uint32   // drawn numbers that lead here
}

func (o lookupOp) exec(m *machine) ctl {
	s := o.set
	if s == nil {
		return m.vague(o, "set "+o.Lookup.Set+", which was not read,")
	}
	if s.broken != "" {
		return m.vague(o, "set "+o.Lookup.Set+", which could not be read ("+s.broken+"),")
	}
	n := s.keyLen()
	v, k, ok := m.load(o.Sreg, n)
	if !ok {
		return m.unknown("look-up in set " + o.Lookup.Set)
	}
	switch {
	case n == 0:
		return o.answer(m, nil)
	case allKnown(k):
		e := s.find(v)
		if s.filled && (e == nil || m.touched(o.Lookup.Set)) {
			return o.dynamic(m, v, e)
		}
		if e == nil && s.src.Truncated {
			return m.vague(o, "set "+o.Lookup.Set+", of which only a part was read,")
		}
		return o.answer(m, e)
	case s.filled || s.src.Truncated:
		return m.vague(o, m.whyReg(o.Sreg, n)+" in set "+o.Lookup.Set)
	}
	if d := m.drawOf(o.Sreg, n); d != nil {
		return o.drawn(m, d)
	}
	list, sure := s.candidates(v, k)
	switch {
	case sure:
		return o.answer(m, list[0])
	case len(list) == 0:
		return o.answer(m, nil)
	}
	all := []found{{}}
	for _, e := range list {
		all = addFound(all, e, 0)
	}
	return o.fan(m, all, m.whyReg(o.Sreg, n), nil)
}

// addFound adds an answer unless another element gives just the same.
func addFound(all []found, e *element, weight uint32) []found {
	for i := range all {
		if sameAnswer(all[i].e, e) {
			all[i].weight += weight
			return all
		}
	}
	return append(all, found{e, weight})
}

func sameAnswer(a, b *element) bool {
	if a == b || a == nil || b == nil {
		return a == b
	}
	va, vb := a.src.Verdict, b.src.Verdict
	return bytes.Equal(a.src.Data, b.src.Data) && (va == nil) == (vb == nil) && (va == nil || *va == *vb) &&
		a.src.Object == b.src.Object && len(a.ops) == 0 && len(b.ops) == 0
}

// drawn tries every number that the key may be.
func (o lookupOp) drawn(m *machine, d *draw) ctl {
	var all []found
	for i := range d.mod {
		b := d.value(i)
		all = addFound(all, o.set.find(b[:]), 1)
	}
	return o.fan(m, all, d.what, d)
}

// fan splits into every answer there may be.
func (o lookupOp) fan(m *machine, all []found, what string, d *draw) ctl {
	if len(all) == 1 {
		return o.answer(m, all[0].e)
	}
	if t, ok := o.member(all, what, d); ok {
		return m.ask(t.xor(o.Invert))
	}
	if len(all) > maxBranches {
		return m.unknown(what + " leads to too many elements of set " + o.Lookup.Set)
	}
	key := m.key()
	if d != nil && d.even {
		key = m.fresh(key)
	}
	m.alts = m.alts[:0]
	for _, f := range all {
		a := Assumption{Key: key, What: what + " " + describe(f.e) + " in set " + o.Lookup.Set + " in " + m.where(), Value: true}
		if d != nil {
			a.StateDependent = true
			if d.even {
				a.Chance = float64(f.weight) / float64(d.mod)
			}
		}
		a.Key += "=" + describe(f.e)
		if v, ok := m.assumed(a.Key); ok && v {
			return o.answer(m, f.e)
		}
		m.alts = append(m.alts, o.way(a, f.e))
	}
	return split
}

// member makes a look-up in a plain set a condition; ok is false for maps, and
// for sets whose elements do more than be there.
func (o lookupOp) member(all []found, what string, d *draw) (t truth, ok bool) {
	if o.Dreg != snap.NoReg || o.set.catch != nil {
		return t, false
	}
	t = unsure(what + " in set " + o.Lookup.Set)
	hits := uint32(0)
	for _, f := range all {
		if f.e == nil {
			continue
		}
		if len(f.e.ops) > 0 {
			return t, false
		}
		hits += f.weight
	}
	if d != nil {
		t.state, t.draw = true, d.even
		if d.even {
			t.chance = float64(hits) / float64(d.mod)
		}
	}
	return t, true
}

func describe(e *element) string {
	switch {
	case e == nil:
		return "not there"
	case bytes.Equal(e.key, e.to):
		return fmt.Sprintf("is %x", e.key)
	}
	return fmt.Sprintf("is %x-%x", e.key, e.to)
}

// way is the alternative in which the look-up finds e.
func (o lookupOp) way(a Assumption, e *element) alt {
	w := alt{as: a}
	if e == nil {
		e = o.set.catch
	}
	w.ctl, w.set = o.effect(e)
	return w
}

// effect is what finding e (nil: nothing) does.
func (o lookupOp) effect(e *element) (ctl, func(*machine)) {
	switch {
	case (e != nil) == o.Invert:
		return leave, nil
	case e == nil || o.Dreg == snap.NoReg:
		return goOn, nil
	case o.Dreg == snap.VerdictReg:
		v := e.src.Verdict
		if v == nil {
			return end, func(m *machine) { m.unknown("a verdict that was not decoded in set " + o.Lookup.Set) }
		}
		return judge, func(m *machine) { m.verdict = *v }
	}
	return goOn, func(m *machine) { m.store(o.Dreg, pad(e.src.Data, o.set.src.DataLen)) }
}

// answer goes on with what was found.
func (o lookupOp) answer(m *machine, e *element) ctl {
	if e == nil && o.set.catch != nil {
		if o.Invert {
			// Kernels differ in whether a catch-all element counts here.
			return m.vague(o, "inverted look-up in set "+o.Lookup.Set+" with a catch-all element")
		}
		e = o.set.catch
	}
	c, set := o.effect(e)
	if set != nil {
		set(m)
	}
	if e == nil || len(e.ops) == 0 || o.Invert || c == leave || c == end {
		return c
	}
	return m.stateful(e.ops, c)
}

// dynamic is a look-up in a set that rules fill, of what it did not hold when it was
// read, which packets since then may have put there, or of what this very packet may
// have put there or taken out.
func (o lookupOp) dynamic(m *machine, key []byte, e *element) ctl {
	read := "not in it when it was read"
	if e != nil {
		read = "in it when it was read"
	}
	a := Assumption{
		Key: m.key(), What: fmt.Sprintf("%x in set %s, which rules fill (%s), in %s", key, o.Lookup.Set, read, m.where()),
		Value: true, StateDependent: true,
	}
	b := a
	b.Value = false
	if e == nil {
		if o.Dreg != snap.NoReg {
			// Whatever element may have been added.
			return m.vague(o, fmt.Sprintf("%x in map %s, which rules fill,", key, o.Lookup.Set))
		}
		e = &element{src: &snap.Element{}}
	}
	if v, ok := m.assumed(a.Key); ok {
		if !v {
			e = nil
		}
		return o.answer(m, e)
	}
	m.alts = append(m.alts[:0], o.way(a, e), o.way(b, nil))
	return split
}

// vague is a look-up of which nothing is known but that it finds something or
// nothing.
func (m *machine) vague(o lookupOp, what string) ctl {
	if o.Dreg == snap.VerdictReg {
		return m.unknown(what)
	}
	if o.Dreg != snap.NoReg {
		n := 16
		if o.set != nil && o.set.src.DataLen > 0 {
			n = o.set.src.DataLen
		}
		m.forget(o.Dreg, n, what)
	}
	t := unsure("membership in " + what)
	if o.set != nil && o.set.filled {
		t = varies("membership in " + what)
	}
	return m.ask(t)
}

// stateful runs an element's own expressions after it was found: when one of
// them says no, so does the look-up (nft_set_elem_update_expr). c is how the
// look-up ends else.
func (m *machine) stateful(ops []op, c ctl) ctl {
	v := m.verdict
	for _, o := range ops {
		switch r := o.exec(m); r {
		case goOn:
		case split:
			for i := range m.alts {
				if m.alts[i].ctl == goOn {
					m.alts[i].ctl = c
					m.alts[i].set = func(m *machine) { m.verdict = v }
				}
			}
			return split
		default:
			return r
		}
	}
	m.verdict = v
	return c
}
