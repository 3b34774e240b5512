package firewall

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Sizes and offsets of include/uapi/linux/netfilter_bridge/ebtables.h on 64-bit
// machines.
const (
	ebChainHead = 48  // struct ebt_entries
	ebEntryHead = 112 // struct ebt_entry
	ebMatchHead = 40  // struct ebt_entry_match, watcher and target
)

// ebInv names the bits of ebt_entry.invflags.
var ebInv = []string{"proto", "in", "out", "src", "dst", "logical-in", "logical-out"}

// DecodeEbtables decodes a table of ebtables-legacy: the entries and counters
// that EBT_SO_GET_ENTRIES copied out. Base chains are told by their order and
// the hooks in validHooks (bit n: hook n of the bridge family, lowest first).
// The counters may be nil; else there is one pair of numbers for each rule.
func DecodeEbtables(name string, validHooks uint32, entries []byte, counters [][2]uint64) (snap.Table, error) {
	t := snap.Table{System: snap.EBTablesLegacy, Family: snap.BridgeFamily, Name: name, Chains: []snap.Chain{}}
	d := ebTable{table: &t, first: map[int]string{}, counters: counters}
	var hooks []string
	for i, h := range bridgeHooks {
		if validHooks&(1<<i) != 0 {
			hooks = append(hooks, h)
		}
	}
	if err := d.split(entries, hooks); err != nil {
		return t, fmt.Errorf("ebtables table %s: %w", name, err)
	}
	for i := range d.chains {
		c, err := d.chain(&d.chains[i])
		if err != nil {
			return t, fmt.Errorf("ebtables table %s chain %s: %w", name, d.chains[i].name, err)
		}
		t.Chains = append(t.Chains, c)
	}
	return t, nil
}

type ebTable struct {
	table    *snap.Table
	chains   []ebChain
	first    map[int]string // chain by the offset of its ebt_entries
	counters [][2]uint64
	rules    int // seen so far: the index into counters
}

type ebChain struct {
	name, hook string
	policy     int32
	entries    [][]byte
}

// split cuts the blob into chains and entries. A chain's head begins with a
// zero word, an entry has EBT_ENTRY_OR_ENTRIES there.
func (d *ebTable) split(b []byte, hooks []string) error {
	for off := 0; off < len(b); {
		e := b[off:]
		if len(e) < ebChainHead {
			return fmt.Errorf("at %d: %w", off, errMalformed)
		}
		if native.Uint32(e)&1 == 0 {
			c := ebChain{name: cstring(e[4:36]), policy: int32(native.Uint32(e[40:]))}
			if n := len(d.chains); n < len(hooks) {
				c.hook = hooks[n]
			}
			d.first[off] = c.name
			d.chains = append(d.chains, c)
			off += ebChainHead
			continue
		}
		if len(e) < ebEntryHead || len(d.chains) == 0 {
			return fmt.Errorf("entry at %d: %w", off, errMalformed)
		}
		next := int(native.Uint32(e[108:]))
		if next < ebEntryHead || next > len(e) {
			return fmt.Errorf("entry at %d: %w", off, errMalformed)
		}
		c := &d.chains[len(d.chains)-1]
		c.entries = append(c.entries, e[:next:next])
		off += next
	}
	if len(d.chains) < len(hooks) {
		return fmt.Errorf("%d chains for %d hooks: %w", len(d.chains), len(hooks), errMalformed)
	}
	return nil
}

func (d *ebTable) chain(in *ebChain) (snap.Chain, error) {
	c := snap.Chain{Name: in.name, PolicyPackets: -1, PolicyBytes: -1, Rules: []snap.Rule{}}
	if in.hook != "" {
		i := slices.IndexFunc(bridgeBuiltins, func(b builtin) bool { return b.table == d.table.Name && b.chain == in.name })
		if i < 0 {
			return c, fmt.Errorf("no such chain in that table: %w", snap.ErrUnsupported)
		}
		c.Hook, c.Type, c.Priority = in.hook, "filter", bridgeBuiltins[i].prio
		switch in.policy {
		case -1:
			c.Policy = "accept"
		case -2:
			c.Policy = "drop"
		default:
			return c, fmt.Errorf("policy %d: %w", in.policy, errMalformed)
		}
	}
	for _, e := range in.entries {
		r, err := d.rule(e)
		if err != nil {
			return c, fmt.Errorf("rule %d: %w", len(c.Rules)+1, err)
		}
		r.Num = len(c.Rules) + 1
		c.Rules = append(c.Rules, r)
	}
	// A user chain has a policy too: what it does at its end. RETURN is none.
	if in.hook == "" && in.policy != -4 {
		v, err := d.verdict(in.policy)
		if err != nil {
			return c, err
		}
		r := snap.Rule{Num: len(c.Rules) + 1, Packets: -1, Bytes: -1, Exprs: snap.Exprs{&snap.EbEntry{}}}
		if v != nil {
			r.Exprs = append(r.Exprs, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: v})
		}
		r.Comment = "policy of the chain"
		c.Rules = append(c.Rules, r)
	}
	return c, nil
}

func (d *ebTable) rule(e []byte) (snap.Rule, error) {
	r := snap.Rule{Packets: -1, Bytes: -1}
	if d.rules < len(d.counters) {
		r.Packets, r.Bytes = int64(d.counters[d.rules][0]), int64(d.counters[d.rules][1])
	}
	d.rules++
	watchers, target := int(native.Uint32(e[100:])), int(native.Uint32(e[104:]))
	if watchers < ebEntryHead || target < watchers || target+ebMatchHead > len(e) {
		return r, errMalformed
	}
	if head, ok := ebEntry(e); ok {
		r.Exprs = snap.Exprs{head}
	} else {
		r.Exprs = snap.Exprs{&snap.Unknown{Name: "entry", Raw: e[:ebEntryHead:ebEntryHead]}}
	}
	for _, part := range []struct {
		b      []byte
		target bool
	}{{e[ebEntryHead:watchers], false}, {e[watchers:target], true}} {
		for b := part.b; len(b) > 0; {
			x, rest, ok := ebPart(b, part.target)
			if !ok {
				return r, errMalformed
			}
			r.Exprs = append(r.Exprs, x)
			b = rest
		}
	}
	x, _, ok := ebPart(e[target:], true)
	if !ok {
		return r, errMalformed
	}
	if x.Name != "standard" {
		r.Exprs = append(r.Exprs, x)
		return r, nil
	}
	if len(x.Info) < 4 {
		return r, errMalformed
	}
	v, err := d.verdict(int32(native.Uint32(x.Info)))
	if err != nil {
		return r, err
	}
	if v != nil {
		r.Exprs = append(r.Exprs, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: v})
	}
	return r, nil
}

// ebPart takes one match, watcher or target off b: a name of 31 bytes, the
// revision, the size of the data, padding, the data.
func ebPart(b []byte, target bool) (x *snap.Xt, rest []byte, ok bool) {
	if len(b) < ebMatchHead {
		return nil, nil, false
	}
	n := int(native.Uint32(b[32:]))
	if n < 0 || n > len(b)-ebMatchHead {
		return nil, nil, false
	}
	end := ebMatchHead + n
	return &snap.Xt{Target: target, Name: cstring(b[:31]), Rev: b[31], Info: b[ebMatchHead:end:end]}, b[end:], true
}

// verdict translates EBT_ACCEPT … EBT_RETURN; nil for CONTINUE.
func (d *ebTable) verdict(v int32) (*snap.Verdict, error) {
	switch v {
	case -1:
		return &snap.Verdict{Code: "accept"}, nil
	case -2:
		return &snap.Verdict{Code: "drop"}, nil
	case -3:
		return nil, nil
	case -4:
		return &snap.Verdict{Code: "return"}, nil
	}
	chain, ok := d.first[int(v)]
	if !ok {
		return nil, fmt.Errorf("jump to %d, where no chain begins: %w", v, errMalformed)
	}
	return &snap.Verdict{Code: "jump", Chain: chain}, nil
}

// ebEntry decodes struct ebt_entry; ok is false for flags that are not known.
func ebEntry(b []byte) (*snap.EbEntry, bool) {
	flags := native.Uint32(b)
	inv, ok := flagNames(native.Uint32(b[4:]), ebInv)
	e := &snap.EbEntry{
		In: ebDevice(b[10:26]), LogicalIn: ebDevice(b[26:42]), Out: ebDevice(b[42:58]), LogicalOut: ebDevice(b[58:74]), Inv: inv,
		Is8023: flags&4 != 0,
	}
	if flags&2 == 0 && !e.Is8023 { // EBT_NOPROTO
		e.EtherType = binary.BigEndian.Uint16(b[8:])
	}
	if flags&8 != 0 {
		e.SrcMAC, e.SrcMask = mac(b[74:80]), mac(b[80:86])
	}
	if flags&16 != 0 {
		e.DstMAC, e.DstMask = mac(b[86:92]), mac(b[92:98])
	}
	return e, ok && flags>>5 == 0
}

// ebDevice is a name; ebtables marks a prefix by a byte 1 after it
// (net/bridge/netfilter/ebtables.c:ebt_dev_check).
func ebDevice(b []byte) string {
	for i, c := range b {
		switch c {
		case 0:
			return string(b[:i])
		case 1:
			return string(b[:i]) + "+"
		}
	}
	return string(b)
}
