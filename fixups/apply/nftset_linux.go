package apply

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Flags of nf_tables.h that package unix has not.
const (
	setConcat    = 0x80 // NFT_SET_CONCAT
	elemCatchAll = 2    // NFT_SET_ELEM_CATCHALL
)

func flagsOf(s *snap.Set) uint32 {
	var f uint32
	for _, x := range []struct {
		on  bool
		bit uint32
	}{
		{s.Anonymous, unix.NFT_SET_ANONYMOUS},
		{s.Constant, unix.NFT_SET_CONSTANT},
		{s.Interval, unix.NFT_SET_INTERVAL},
		{s.Map, unix.NFT_SET_MAP},
		{s.Timeout, unix.NFT_SET_TIMEOUT},
		{s.Dynamic, unix.NFT_SET_EVAL},
		{s.ObjectMap, unix.NFT_SET_OBJECT},
		{s.Concat && s.Interval, setConcat},
	} {
		if x.on {
			f |= x.bit
		}
	}
	return f
}

// anonymousSet makes a set for a rule of the same transaction, which refers to
// it by id.
func (b *batch) anonymousSet(ref fixups.ChainRef, s *snap.Set, id uint32) error {
	if s.Unread != "" || s.Truncated {
		return fmt.Errorf("elements of set %s are not known: %w", s.Name, snap.ErrUnsupported)
	}
	var a attrs
	a.str(unix.NFTA_SET_TABLE, ref.Table)
	a.str(unix.NFTA_SET_NAME, pattern(s.Name))
	a.setTypes(s)
	list := intervals(s, s.Elements)
	a.nested(unix.NFTA_SET_DESC, func(d *attrs) {
		if !s.Interval || s.Concat {
			d.be32(unix.NFTA_SET_DESC_SIZE, uint32(len(s.Elements)))
		}
		if len(s.Fields) > 1 {
			d.nested(setDescConcat, func(c *attrs) {
				for _, n := range s.Fields {
					c.nested(unix.NFTA_LIST_ELEM, func(f *attrs) { f.be32(setFieldLen, uint32(n)) })
				}
			})
		}
	})
	a.be32(unix.NFTA_SET_ID, id)
	if len(s.UserData) > 0 {
		a.bytes(unix.NFTA_SET_USERDATA, s.UserData)
	}
	b.put(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE, ref.Family, a)
	b.elementMessages(unix.NFT_MSG_NEWSETELEM, ref, pattern(s.Name), id, list)
	return nil
}

// setTypes are a set's flags, and the types of its keys and data.
func (a *attrs) setTypes(s *snap.Set) {
	a.be32(unix.NFTA_SET_FLAGS, flagsOf(s))
	a.be32(unix.NFTA_SET_KEY_TYPE, s.KeyType)
	a.be32(unix.NFTA_SET_KEY_LEN, uint32(s.KeyLen))
	if s.Map {
		a.be32(unix.NFTA_SET_DATA_TYPE, s.DataType)
		if s.DataLen > 0 {
			a.be32(unix.NFTA_SET_DATA_LEN, uint32(s.DataLen))
		}
	}
}

// namedSet makes a set with its elements.
func (b *batch) namedSet(ref fixups.ChainRef, s *snap.Set) {
	var a attrs
	b.setID++
	a.str(unix.NFTA_SET_TABLE, ref.Table)
	a.str(unix.NFTA_SET_NAME, s.Name)
	a.setTypes(s)
	a.be32(unix.NFTA_SET_ID, b.setID)
	if len(s.UserData) > 0 {
		a.bytes(unix.NFTA_SET_USERDATA, s.UserData)
	}
	b.put(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ref.Family, a)
	b.elementMessages(unix.NFT_MSG_NEWSETELEM, ref, s.Name, 0, intervals(s, s.Elements))
}

// elements adds to or deletes from a named set.
func (b *batch) elements(typ uint16, ref fixups.ChainRef, name string, list []snap.Element, now *snap.Snapshot) error {
	n := now.Ns(ref.ID)
	t := n.Ruleset.Table(ref.System, ref.Family, ref.Table)
	if t == nil || t.Set(name) == nil {
		return fmt.Errorf("set %s: %w", name, snap.ErrNotFound)
	}
	set := t.Set(name)
	if set.Unread != "" {
		return fmt.Errorf("set %s: %s: %w", name, set.Unread, snap.ErrUnsupported)
	}
	b.elementMessages(typ, ref, name, 0, intervals(set, list))
	return nil
}

// rawElement is an element as the kernel takes it.
type rawElement struct {
	snap.Element
	end bool
}

// intervals makes starts and ends of ranges, as sets of intervals hold them; an
// end is the first key behind the range, and there is none behind the last key
// of all. Concatenations have the end in the element itself.
func intervals(s *snap.Set, list []snap.Element) []rawElement {
	var out []rawElement
	for _, e := range list {
		if !s.Interval || s.Concat || e.CatchAll {
			out = append(out, rawElement{Element: e})
			continue
		}
		to := e.KeyEnd
		if len(to) == 0 {
			to = e.Key
		}
		start := e
		start.KeyEnd = nil
		out = append(out, rawElement{Element: start})
		if next, ok := behind(to); ok {
			out = append(out, rawElement{Element: snap.Element{Key: next}, end: true})
		}
	}
	return out
}

// behind is the next key, none after the highest.
func behind(key []byte) ([]byte, bool) {
	next := bytes.Clone(key)
	for i := len(next) - 1; i >= 0; i-- {
		next[i]++
		if next[i] != 0 {
			return next, true
		}
	}
	return nil, false
}

// elementsPerMessage keeps a nested attribute below the 64 KiB that its length
// can say.
const elementsPerMessage = 200

func (b *batch) elementMessages(typ uint16, ref fixups.ChainRef, name string, id uint32, list []rawElement) {
	for len(list) > 0 {
		part := list[:min(len(list), elementsPerMessage)]
		list = list[len(part):]
		var a attrs
		a.str(unix.NFTA_SET_ELEM_LIST_TABLE, ref.Table)
		a.str(unix.NFTA_SET_ELEM_LIST_SET, name)
		if id != 0 {
			a.be32(unix.NFTA_SET_ELEM_LIST_SET_ID, id)
		}
		a.nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(l *attrs) {
			for _, e := range part {
				l.nested(unix.NFTA_LIST_ELEM, func(x *attrs) { e.encode(x) })
			}
		})
		flags := uint16(0)
		if typ == unix.NFT_MSG_NEWSETELEM {
			flags = unix.NLM_F_CREATE
		}
		b.put(typ, flags, ref.Family, a)
	}
}

func (e rawElement) encode(a *attrs) {
	flags := uint32(0)
	if e.end {
		flags |= unix.NFT_SET_ELEM_INTERVAL_END
	}
	if e.CatchAll {
		flags |= elemCatchAll
	}
	if flags != 0 {
		a.be32(unix.NFTA_SET_ELEM_FLAGS, flags)
	}
	if len(e.Key) > 0 {
		a.nested(unix.NFTA_SET_ELEM_KEY, func(d *attrs) { d.bytes(unix.NFTA_DATA_VALUE, e.Key) })
	}
	if len(e.KeyEnd) > 0 {
		a.nested(elemKeyEnd, func(d *attrs) { d.bytes(unix.NFTA_DATA_VALUE, e.KeyEnd) })
	}
	if e.Verdict != nil || len(e.Data) > 0 {
		a.nested(unix.NFTA_SET_ELEM_DATA, func(d *attrs) { encodeData(d, e.Data, e.Verdict) })
	}
	if e.TimeoutMs > 0 {
		a.be64(unix.NFTA_SET_ELEM_TIMEOUT, uint64(e.TimeoutMs))
		if e.ExpiresMs > 0 { // what is left of it
			a.be64(unix.NFTA_SET_ELEM_EXPIRATION, uint64(e.ExpiresMs))
		}
	}
	if e.Object != "" {
		a.str(unix.NFTA_SET_ELEM_OBJREF, e.Object)
	}
}

// noVerdict is a code that the kernel refuses (nft_verdict_init, net/netfilter/nf_tables_api.c: EINVAL).
const noVerdict = 0xff

// verdictCode is the kernel's number for a verdict (include/uapi/linux/netfilter/nf_tables.h:
// enum nft_verdicts, include/uapi/linux/netfilter.h); noVerdict for what is none.
func verdictCode(name string) int32 {
	codes := map[string]int32{"drop": 0, "accept": 1, "stolen": 2, "queue": 3, "continue": -1, "break": -2, "jump": -3, "goto": -4, "return": -5}
	if code, ok := codes[name]; ok {
		return code
	}
	return noVerdict
}

// encodeData is a value or a verdict (NFTA_DATA_*).
func encodeData(a *attrs, data []byte, v *snap.Verdict) {
	if v == nil {
		a.bytes(unix.NFTA_DATA_VALUE, data)
		return
	}
	code := verdictCode(v.Code)
	a.nested(unix.NFTA_DATA_VERDICT, func(d *attrs) {
		d.be32(unix.NFTA_VERDICT_CODE, uint32(code))
		if v.Chain != "" {
			d.str(unix.NFTA_VERDICT_CHAIN, v.Chain)
		}
	})
}

// renameSets rewrites the look-ups in a rule's expressions to sets that are
// made in the same transaction.
func renameSets(exprs []byte, ids map[string]uint32) ([]byte, error) {
	var out attrs
	err := eachAttr(exprs, func(typ uint16, elem []byte) error {
		var name string
		var data []byte
		if err := eachAttr(elem, func(t uint16, v []byte) error {
			switch t & attrType {
			case unix.NFTA_EXPR_NAME:
				name = unix.ByteSliceToString(v)
			case unix.NFTA_EXPR_DATA:
				data = v
			}
			return nil
		}); err != nil {
			return err
		}
		if name != "lookup" {
			if (name == "dynset" || name == "objref") && usesSet(data, ids) {
				return fmt.Errorf("an anonymous set of a %s: %w", name, snap.ErrUnsupported)
			}
			out.bytes(typ, elem)
			return nil
		}
		return relook(&out, data, ids)
	})
	return out, err
}

// attrType is NLA_TYPE_MASK of include/uapi/linux/netlink.h.
const attrType = 0x3fff

// relook writes one look-up anew (NFTA_LOOKUP_*).
func relook(out *attrs, data []byte, ids map[string]uint32) error {
	var in attrs
	if err := eachAttr(data, func(t uint16, v []byte) error {
		switch {
		case t&attrType == unix.NFTA_LOOKUP_SET && ids[unix.ByteSliceToString(v)] != 0:
			in.str(unix.NFTA_LOOKUP_SET, pattern(unix.ByteSliceToString(v)))
			in.be32(unix.NFTA_LOOKUP_SET_ID, ids[unix.ByteSliceToString(v)])
		case t&attrType != unix.NFTA_LOOKUP_SET_ID:
			in.bytes(t, v)
		}
		return nil
	}); err != nil {
		return err
	}
	out.nested(unix.NFTA_LIST_ELEM, func(a *attrs) {
		a.str(unix.NFTA_EXPR_NAME, "lookup")
		a.bytes(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, in)
	})
	return nil
}

func usesSet(data []byte, ids map[string]uint32) bool {
	found := false
	_ = eachAttr(data, func(_ uint16, v []byte) error { // a broken one is found by who reads it
		found = found || ids[unix.ByteSliceToString(v)] != 0
		return nil
	})
	return found
}

// eachAttr walks attributes.
func eachAttr(b []byte, f func(typ uint16, v []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return fmt.Errorf("expressions of a rule: %w", snap.ErrTorn)
		}
		n := int(binary.NativeEndian.Uint16(b))
		if n < 4 || n > len(b) {
			return fmt.Errorf("expressions of a rule: %w", snap.ErrTorn)
		}
		if err := f(binary.NativeEndian.Uint16(b[2:]), b[4:n]); err != nil {
			return err
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return nil
}
