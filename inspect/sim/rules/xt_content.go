package rules

import (
	"bytes"
	"math/bits"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
)

// contentMatch compiles matches on the packet's bytes.
func contentMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.StringMatch:
		return func(m *machine) truth { return search(m.header(), v).xor(v.Invert) }
	case *fw.U32Match:
		return func(m *machine) truth { return u32(m.header(), v).xor(v.Invert) }
	case *fw.BPFMatch:
		if v.Opaque || v.Path != "" {
			return always(unsure("an eBPF program " + v.Path))
		}
		return func(m *machine) truth { return bpf(m.header(), v.Program) }
	}
	return nil
}

// search looks for a pattern (net/netfilter/xt_string.c). It must begin
// between From and To, and since Linux 6.7 also end by then. A longer pattern
// is only looked for in the payload: that ids, sequence numbers and checksums
// spell it out by chance is left out.
func search(v *view, s *fw.StringMatch) truth {
	const byChance = 6
	vague := unsure("a string in the packet")
	if len(s.Pattern) == 0 || v.total == 0 && (v.pay == 0 || v.payload == nil) {
		return vague
	}
	end := v.total
	if end == 0 {
		end = v.pay + len(v.payload)
	}
	t := is(false)
	b, k := make([]byte, len(s.Pattern)), make([]byte, len(s.Pattern))
	for at := int(s.From); at+len(b) <= end && at <= int(s.To); at++ {
		if at+len(b) <= max(v.n, v.pay) && len(b) >= byChance {
			continue
		}
		if in, _ := v.get(at, b, k); !in {
			break
		}
		switch hit := found3(b, k, s.Pattern, s.IgnoreCase); {
		case hit == yes && at+len(b) <= int(s.To):
			return is(true)
		case hit != no:
			t = vague
		}
	}
	return t
}

// found3 compares bytes with a pattern.
func found3(b, k, pattern []byte, ignoreCase bool) is3 {
	hit := yes
	for i, c := range pattern {
		switch {
		case ignoreCase && k[i] == 0xff:
			if !bytes.EqualFold(b[i:i+1], []byte{c}) {
				return no
			}
		case (b[i]^c)&k[i] != 0 && !ignoreCase:
			return no
		case k[i] != 0xff:
			hit = maybe
		}
	}
	return hit
}

// word reads 4 bytes in network order with the bits that are known; in is
// false when the packet is shorter, sure whether that is certain.
func (v *view) word(off uint32, n int) (val, known uint32, in, sure bool) {
	if off > 1<<17 {
		return 0, 0, false, true
	}
	var b, k [4]byte
	in, sure = v.get(int(off), b[4-n:], k[4-n:])
	for i := range 4 - n {
		k[i] = 0xff
	}
	return be32(b[:]), be32(k[:]), in, sure
}

// u32 is net/netfilter/xt_u32.c:u32_match_it.
func u32(v *view, x *fw.U32Match) truth {
	t := is(true)
	for _, test := range x.Tests {
		if t = t.and(u32Test(v, test)); t.is == no {
			return t
		}
	}
	return t
}

func u32Test(v *view, x fw.U32Test) truth {
	vague := unsure("bytes of the packet")
	at := uint32(0)
	val, known, in, sure := v.word(x.Steps[0].Number, 4)
	if !in || !sure {
		return u32Short(in, sure)
	}
	for _, s := range x.Steps[1:] {
		switch s.Op {
		case "&":
			val, known = val&s.Number, known|^s.Number
		case "<<":
			val, known = val<<s.Number, known<<s.Number|(1<<s.Number-1)
		case ">>":
			val, known = val>>s.Number, known>>s.Number|^(^uint32(0)>>s.Number)
		case "@":
			if known != ^uint32(0) {
				return vague
			}
			sum, carry := bits.Add32(at, val, 0)
			pos, carry2 := bits.Add32(sum, s.Number, 0)
			if carry != 0 || carry2 != 0 {
				return is(false)
			}
			at = sum
			if val, known, in, sure = v.word(pos, 4); !in || !sure {
				return u32Short(in, sure)
			}
		default:
			return vague
		}
	}
	t := is(false)
	for _, r := range x.Ranges {
		switch lo, hi := val, val|^known; {
		case lo >= r.Min && hi <= r.Max:
			return is(true)
		case hi >= r.Min && lo <= r.Max:
			t = vague
		}
	}
	return t
}

func u32Short(in, sure bool) truth {
	if !in && sure {
		return is(false)
	}
	return unsure("whether the packet is long enough")
}
