package rules

// is3 is the value of a condition.
type is3 uint8

const (
	no is3 = iota
	yes
	maybe
)

// truth is a condition with three values (Kleene's logic), and why it can't be
// told.
type truth struct {
	is     is3
	why    string
	state  bool    // depends on rates, counters, time or chance
	draw   bool    // drawn anew for every packet and every time it is asked
	chance float64 // of being true, 0 unknown
}

func is(b bool) truth {
	if b {
		return truth{is: yes}
	}
	return truth{is: no}
}

// unsure is a condition that this program can't decide.
//
//go:noinline
func unsure(why string) truth { return truth{is: maybe, why: why} }

// varies is a condition that depends on rates, counters, time or chance.
//
//go:noinline
func varies(why string) truth { return truth{is: maybe, why: why, state: true} }

// xor inverts the condition when inv is set.
//
//go:noinline
func (t truth) xor(inv bool) truth {
	if !inv {
		return t
	}
	switch t.is {
	case yes:
		t.is = no
	case no:
		t.is = yes
	case maybe:
		t.why = "not " + t.why
		if t.chance > 0 {
			t.chance = 1 - t.chance
		}
	}
	return t
}

// and is true when both are.
//
//go:noinline
func (t truth) and(o truth) truth {
	switch {
	case t.is == no || o.is == yes:
		return t
	case o.is == no || t.is == yes:
		return o
	}
	return truth{is: maybe, why: t.why + " and " + o.why, state: t.state && o.state, draw: t.draw || o.draw}
}

// or is true when one is.
//
//go:noinline
func (t truth) or(o truth) truth {
	switch {
	case t.is == yes || o.is == no:
		return t
	case o.is == yes || t.is == no:
		return o
	}
	return truth{is: maybe, why: t.why + " or " + o.why, state: t.state && o.state, draw: t.draw || o.draw}
}

// order compares bytes of which only the bits in k are known (nil: all) with
// others, as memcmp does: lt, eq and gt say which outcomes are possible.
func order(v, k, with []byte) (lt, eq, gt bool) {
	lo, hi := 0, 0 // of the smallest and of the largest value that v may have
	same := true   // v may equal with
	for i := range with {
		var b, kb byte
		if i < len(v) {
			b, kb = v[i], 0xff
			if k != nil {
				kb = k[i]
			}
		}
		if lo == 0 {
			lo = sign(b, with[i])
		}
		if hi == 0 {
			hi = sign(b|^kb, with[i])
		}
		if (b^with[i])&kb != 0 {
			same = false
		}
	}
	return lo < 0, same, hi > 0
}

func sign(a, b byte) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
