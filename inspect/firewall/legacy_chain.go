package firewall

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// legacyTable finds the chains and rules in a blob's entries.
type legacyTable struct {
	layout
	info    LegacyInfo
	entries []legacyEntry
	table   *snap.Table
	first   map[int]string // chain by the offset of its first rule
	intern  map[string]string
}

// span is one chain: entries from up to, the last one being its policy or
// implicit RETURN.
type span struct {
	name     string
	from, to int
	hook     int // -1 for a user chain
}

// chains finds where chains begin: a base chain at its hook's entry, a user
// chain after an ERROR target that holds its name; the last ERROR ends the
// table (libiptc: libiptc.c, cache_add_entry).
func (d *legacyTable) chains() error {
	at := make(map[int]int, len(d.entries)) // entry index by offset
	for i, e := range d.entries {
		at[e.off] = i
	}
	var spans []span
	for hook := range 5 {
		if d.info.ValidHooks&(1<<hook) == 0 {
			continue
		}
		from, ok1 := at[int(d.info.HookEntry[hook])]
		last, ok2 := at[int(d.info.Underflow[hook])]
		if !ok1 || !ok2 || last < from {
			return fmt.Errorf("hook %d: %w", hook, errMalformed)
		}
		spans = append(spans, span{strings.ToUpper(inetHooks[hook]), from, last + 1, hook})
	}
	for i, e := range d.entries {
		if xtName(e.target) != "ERROR" {
			continue
		}
		if len(spans) > 0 && spans[len(spans)-1].hook < 0 {
			spans[len(spans)-1].to = i
		}
		if i == len(d.entries)-1 {
			break
		}
		spans = append(spans, span{cstring(e.target[xtHead:]), i + 1, len(d.entries), -1})
	}
	if bits.OnesCount32(d.info.ValidHooks) == 0 || len(d.entries) == 0 {
		return fmt.Errorf("no chains: %w", errMalformed)
	}
	d.first = make(map[int]string, len(spans))
	d.intern = map[string]string{}
	for _, s := range spans {
		if s.to <= s.from {
			return fmt.Errorf("chain %s is empty: %w", s.name, errMalformed)
		}
		d.first[d.entries[s.from].off] = s.name
	}
	for _, s := range spans {
		c, err := d.chain(s)
		if err != nil {
			return fmt.Errorf("chain %s: %w", s.name, err)
		}
		d.table.Chains = append(d.table.Chains, c)
	}
	return nil
}

func (d *legacyTable) chain(s span) (snap.Chain, error) {
	c := snap.Chain{Name: s.name, PolicyPackets: -1, PolicyBytes: -1}
	last := d.entries[s.to-1]
	v, ok := standard(last.target)
	if !ok {
		return c, fmt.Errorf("it does not end in a verdict: %w", errMalformed)
	}
	if s.hook >= 0 {
		i := slices.IndexFunc(ipBuiltins, func(b builtin) bool { return b.table == d.info.Name && b.chain == s.name })
		if i < 0 {
			return c, fmt.Errorf("table %s has no such chain: %w", d.info.Name, snap.ErrUnsupported)
		}
		c.Hook, c.Type, c.Priority = ipBuiltins[i].hook, ipBuiltins[i].typ, ipBuiltins[i].prio
		switch v {
		case xtAccept:
			c.Policy = "accept"
		case xtDrop:
			c.Policy = "drop"
		default:
			return c, fmt.Errorf("policy %d: %w", v, errMalformed)
		}
		c.PolicyPackets, c.PolicyBytes = d.counted(last)
	}
	c.Rules = make([]snap.Rule, 0, s.to-1-s.from)
	for i, e := range d.entries[s.from : s.to-1] {
		r, err := d.rule(e)
		if err != nil {
			return c, fmt.Errorf("rule %d: %w", i+1, err)
		}
		r.Num = i + 1
		c.Rules = append(c.Rules, r)
	}
	return c, nil
}

func (d *legacyTable) counted(e legacyEntry) (packets, octets int64) {
	return int64(native.Uint64(e.head[d.counters:])), int64(native.Uint64(e.head[d.counters+8:]))
}

// rule decodes one entry.
func (d *legacyTable) rule(e legacyEntry) (snap.Rule, error) {
	var r snap.Rule
	r.Packets, r.Bytes = d.counted(e)
	r.Exprs = make(snap.Exprs, 0, 4)
	head, ok := d.entry(e.head)
	if ok {
		r.Exprs = append(r.Exprs, head)
	} else {
		r.Exprs = append(r.Exprs, &snap.Unknown{Name: "entry", Raw: e.head})
	}
	for b := e.matches; len(b) > 0; {
		if len(b) < xtHead {
			return r, errMalformed
		}
		n := int(native.Uint16(b))
		if n < xtHead || n > len(b) {
			return r, errMalformed
		}
		r.Exprs = append(r.Exprs, &snap.Xt{Name: d.name(b), Rev: b[31], Info: b[xtHead:n:n]})
		b = b[n:]
	}
	if v, ok := standard(e.target); ok {
		verdict, err := d.verdict(v, e.next, head.Goto)
		if err != nil {
			return r, err
		}
		if verdict != nil {
			r.Exprs = append(r.Exprs, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: verdict})
		}
	} else {
		r.Exprs = append(r.Exprs, &snap.Xt{Target: true, Name: d.name(e.target), Rev: e.target[31], Info: e.target[xtHead:]})
	}
	r.Comment = comment(&r)
	return r, nil
}

// name makes one string of each extension's name.
func (d *legacyTable) name(b []byte) string {
	n := xtName(b)
	if s, ok := d.intern[n]; ok {
		return s
	}
	d.intern[n] = n
	return n
}

// standard is the verdict of a standard target, whose name is "".
func standard(target []byte) (int32, bool) {
	if target[2] != 0 || len(target) < xtHead+4 {
		return 0, false
	}
	return int32(native.Uint32(target[xtHead:])), true
}

// verdict translates a standard verdict; nil for a rule without one, whose
// verdict is the offset of the entry after it.
func (d *legacyTable) verdict(v int32, next int, jumpsForGood bool) (*snap.Verdict, error) {
	switch v {
	case xtDrop:
		return &snap.Verdict{Code: "drop"}, nil
	case xtAccept:
		return &snap.Verdict{Code: "accept"}, nil
	case xtQueue:
		return &snap.Verdict{Code: "queue"}, nil
	case xtReturn:
		return &snap.Verdict{Code: "return"}, nil
	}
	if v < 0 {
		return nil, fmt.Errorf("verdict %d: %w", v, snap.ErrUnsupported)
	}
	if int(v) == next {
		return nil, nil
	}
	chain, ok := d.first[int(v)]
	if !ok {
		return nil, fmt.Errorf("jump to %d, where no chain begins: %w", v, errMalformed)
	}
	if jumpsForGood {
		return &snap.Verdict{Code: "goto", Chain: chain}, nil
	}
	return &snap.Verdict{Code: "jump", Chain: chain}, nil
}
