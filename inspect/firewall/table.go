package firewall

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// DecodeTable decodes the attributes of an NFT_MSG_NEWTABLE. family is
// nfgenmsg.nfgen_family. System is snap.NFT until Classify has seen the chains.
func DecodeTable(family uint8, b []byte) (snap.Table, error) {
	a := newAttrs()
	if !a.parse(b, 7) {
		return snap.Table{}, fmt.Errorf("nf_tables table: %w", errMalformed)
	}
	r := values{attrs: &a}
	f := r.u32(2)
	t := snap.Table{
		System: snap.NFT, Family: FamilyOf(family), Name: r.str(1), Handle: r.u64(4),
		Dormant: f&1 != 0, Owner: r.u32(7), Noted: len(a.v[6]) > 0,
	}
	if r.bad || t.Name == "" || t.Family == "" {
		return t, fmt.Errorf("nf_tables table %q of family %d: %w", t.Name, family, errMalformed)
	}
	return t, nil
}

// ChainMessage is a chain and what its message says besides.
type ChainMessage struct {
	Table string
	Chain snap.Chain
	// Use counts the chain's rules and the jumps to it: 0 means that it has no
	// rules (include/net/netfilter/nf_tables.h: nft_use_inc).
	Use uint32
}

// DecodeChain decodes the attributes of an NFT_MSG_NEWCHAIN.
func DecodeChain(family uint8, b []byte) (ChainMessage, error) {
	a := newAttrs()
	if !a.parse(b, 12) {
		return ChainMessage{}, fmt.Errorf("nf_tables chain: %w", errMalformed)
	}
	r := values{attrs: &a}
	m := ChainMessage{Table: r.str(1), Use: r.u32(6)}
	if !r.has(6) {
		m.Use = 1 // not told: there may be rules
	}
	c := &m.Chain
	*c = snap.Chain{Name: r.str(3), Handle: r.u64(2), Type: r.str(7), PolicyPackets: -1, PolicyBytes: -1, Noted: len(a.v[12]) > 0}
	if r.has(4) {
		c.Hook, c.Priority, c.Devices = r.hook(4, FamilyOf(family))
		switch r.u32(5) {
		case 0:
			c.Policy = "drop"
		case 1:
			c.Policy = "accept"
		default:
			r.bad = true
		}
		if !r.has(5) {
			c.Policy = "accept" // nf_tables_newchain: NF_ACCEPT unless given
		}
	}
	if r.has(8) {
		n := newAttrs()
		if !n.parse(a.v[8], 3) {
			r.bad = true
		} else {
			in := values{attrs: &n}
			c.PolicyBytes, c.PolicyPackets = int64(in.u64(1)), int64(in.u64(2))
			r.bad = r.bad || in.bad
		}
	}
	if r.bad || c.Name == "" || m.Table == "" {
		return m, fmt.Errorf("nf_tables chain %q: %w", c.Name, errMalformed)
	}
	return m, nil
}

// hook reads NFTA_CHAIN_HOOK.
func (r *values) hook(i int, f snap.Family) (name string, prio int32, devices []string) {
	a := newAttrs()
	if !a.parse(r.v[i], 4) {
		r.bad = true
		return "", 0, nil
	}
	in := values{attrs: &a}
	in.need(1, 2)
	name = hookName(f, in.u32(1))
	prio = int32(in.u32(2))
	if a.has(3) {
		devices = []string{in.str(3)}
	}
	if a.has(4) {
		devices = in.devices(4) // has the one of NFTA_HOOK_DEV too
	}
	if in.bad || name == "" {
		r.bad = true
	}
	return name, prio, devices
}

// devices reads a list of NFTA_DEVICE_NAME (1), or NFTA_DEVICE_PREFIX (2),
// which stands for all names that begin so; it is written with a "*".
func (r *values) devices(i int) []string {
	var list []string
	for b := r.v[i]; len(b) > 0; {
		typ, v, rest, _, ok := nextAttr(b)
		if !ok {
			r.bad = true
			return list
		}
		switch typ {
		case 1:
			list = append(list, cstring(v))
		case 2:
			list = append(list, cstring(v)+"*")
		default:
			r.bad = true
		}
		b = rest
	}
	return list
}

// DecodeGeneration decodes the attributes of an NFT_MSG_NEWGEN.
func DecodeGeneration(b []byte) (uint32, error) {
	a := newAttrs()
	if !a.parse(b, 3) {
		return 0, fmt.Errorf("nf_tables generation: %w", errMalformed)
	}
	r := values{attrs: &a}
	r.need(1)
	id := r.u32(1)
	if r.bad {
		return 0, fmt.Errorf("nf_tables generation: %w", errMalformed)
	}
	return id, nil
}
