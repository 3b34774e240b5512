package firewall

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LegacyInfo is struct ipt_getinfo, which struct ip6t_getinfo equals
// (include/uapi/linux/netfilter_ipv4/ip_tables.h).
type LegacyInfo struct {
	Name       string
	ValidHooks uint32 // bit n: hook n has a chain
	HookEntry  [5]uint32
	Underflow  [5]uint32 // offsets of the policies' entries
	NumEntries uint32
	Size       uint32 // bytes of entries
}

// LegacyInfoSize is the size of struct ipt_getinfo.
const LegacyInfoSize = 84

// DecodeLegacyInfo decodes what IPT_SO_GET_INFO gave.
func DecodeLegacyInfo(b []byte) (LegacyInfo, error) {
	var in LegacyInfo
	if len(b) < LegacyInfoSize {
		return in, fmt.Errorf("ipt_getinfo of %d bytes: %w", len(b), errMalformed)
	}
	in.Name = cstring(b[:32])
	in.ValidHooks = native.Uint32(b[32:])
	for i := range in.HookEntry {
		in.HookEntry[i] = native.Uint32(b[36+4*i:])
		in.Underflow[i] = native.Uint32(b[56+4*i:])
	}
	in.NumEntries, in.Size = native.Uint32(b[76:]), native.Uint32(b[80:])
	return in, nil
}

// Standard verdicts of x_tables: -verdict-1 (include/uapi/linux/netfilter/x_tables.h).
const (
	xtDrop   = -1
	xtAccept = -2
	xtQueue  = -4
	xtReturn = -5
)

// layout is where the parts of an entry are: struct ipt_entry or ip6t_entry.
type layout struct {
	size, targetOff, nextOff, counters int
	entry                              func(b []byte) (*snap.XtEntry, bool)
}

// legacyEntry is one entry, cut out of the blob.
type legacyEntry struct {
	off, next int
	head      []byte // the fixed part
	matches   []byte
	target    []byte // from its xt_entry_target on
}

// DecodeLegacy decodes a table of iptables-legacy: entries is the blob of
// IPT_SO_GET_ENTRIES behind its 40 byte head. Base chains get the hooks, types
// and priorities that the kernel's iptable_* modules register them with; a
// rule becomes its XtEntry, its matches, and its target or an Immediate with
// the verdict. A rule without a target has no verdict: the packet goes on.
func DecodeLegacy(v6 bool, in LegacyInfo, entries []byte) (snap.Table, error) {
	t := snap.Table{System: snap.IPTablesLegacy, Family: snap.IPv4, Name: in.Name}
	l := layout{size: 112, targetOff: 88, nextOff: 90, counters: 96, entry: ipEntry}
	if v6 {
		t.Family = snap.IPv6
		l = layout{size: 168, targetOff: 140, nextOff: 142, counters: 152, entry: ip6Entry}
	}
	list, err := l.split(entries)
	if err != nil {
		return t, fmt.Errorf("legacy table %s: %w", in.Name, err)
	}
	d := legacyTable{layout: l, info: in, entries: list, table: &t}
	if err := d.chains(); err != nil {
		return t, fmt.Errorf("legacy table %s: %w", in.Name, err)
	}
	return t, nil
}

// split cuts the blob into entries.
func (l layout) split(b []byte) ([]legacyEntry, error) {
	list := make([]legacyEntry, 0, len(b)/(l.size+40)+1)
	for off := 0; off < len(b); {
		e := b[off:]
		if len(e) < l.size {
			return nil, fmt.Errorf("entry at %d: %w", off, errMalformed)
		}
		target, next := int(native.Uint16(e[l.targetOff:])), int(native.Uint16(e[l.nextOff:]))
		if target < l.size || next < target+xtHead || next > len(e) {
			return nil, fmt.Errorf("entry at %d: %w", off, errMalformed)
		}
		list = append(list, legacyEntry{
			off: off, next: off + next, head: e[:l.size:l.size], matches: e[l.size:target:target], target: e[target:next:next],
		})
		off += next
	}
	return list, nil
}

// xtHead is the size of struct xt_entry_match and xt_entry_target: size u16,
// name 29 bytes, revision u8.
const xtHead = 32

// xtName is the name in an xt_entry_match or xt_entry_target.
func xtName(b []byte) string { return cstring(b[2:31]) }
