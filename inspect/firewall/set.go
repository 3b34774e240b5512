package firewall

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// enum nft_set_flags.
const (
	setAnonymous = 0x1
	setConstant  = 0x2
	setInterval  = 0x4
	setMap       = 0x8
	setTimeout   = 0x10
	setEval      = 0x20
	setObject    = 0x40
	setConcat    = 0x80
)

// Types of NFTA_SET_USERDATA records (libnftnl: include/udata.h).
const udataSetComment = 7

// DecodeSet decodes the attributes of an NFT_MSG_NEWSET, without elements.
func DecodeSet(b []byte) (table string, s snap.Set, err error) {
	a := newAttrs()
	if !a.parse(b, 19) {
		return "", s, fmt.Errorf("nf_tables set: %w", errMalformed)
	}
	r := values{attrs: &a}
	f := r.u32(3)
	s = snap.Set{
		Name: r.str(2), Handle: r.u64(16),
		Anonymous: f&setAnonymous != 0, Constant: f&setConstant != 0, Interval: f&setInterval != 0, Map: f&setMap != 0,
		Timeout: f&setTimeout != 0, Dynamic: f&setEval != 0, ObjectMap: f&setObject != 0, Concat: f&setConcat != 0,
		KeyType: r.u32(4), KeyLen: r.length(5), DataType: r.u32(6), DataLen: r.length(7),
	}
	if r.has(9) {
		s.Size, s.Fields = r.description(9)
	}
	if s.Fields == nil {
		s.Fields = typeFields(s.KeyType)
	}
	s.Concat = s.Concat || len(s.Fields) > 1
	if s.ObjectMap {
		s.DataType = r.u32(15) // NFT_OBJECT_*: object maps have no datatype
	}
	if c, ok := udata(a.v[13], udataSetComment); ok {
		s.Comment = cstring(c)
	}
	s.UserData = a.v[13]
	table = r.str(1)
	if r.bad || table == "" || s.Name == "" {
		return table, s, fmt.Errorf("nf_tables set %q: %w", s.Name, errMalformed)
	}
	return table, s, nil
}

// description reads NFTA_SET_DESC: how many elements the set may have, 0 any
// number, and the lengths of a concatenation's fields, in bytes
// (nf_tables_api.c:nft_set_desc_concat_parse; the header says bits).
func (r *values) description(i int) (size uint32, fields []int) {
	a := littleAttrs()
	if !a.parse(r.v[i], 2) {
		r.bad = true
		return 0, nil
	}
	in := values{attrs: &a}
	size = in.u32(1)
	r.bad = r.bad || in.bad
	var list []int
	for b := a.v[2]; len(b) > 0; {
		_, v, rest, _, ok := nextAttr(b)
		n := newAttrs()
		if !ok || !n.parse(v, 1) {
			r.bad = true
			return size, nil
		}
		in := values{attrs: &n}
		list = append(list, in.length(1))
		r.bad = r.bad || in.bad
		b = rest
	}
	return size, list
}

// DecodeElements decodes the elements in one NFT_MSG_NEWSETELEM of set s. The
// ends of intervals are still elements of their own: Join makes ranges of
// them once all messages are there.
func DecodeElements(s *snap.Set, b []byte) ([]RawElement, error) {
	a := newAttrs()
	if !a.parse(b, 4) {
		return nil, fmt.Errorf("elements of set %s: %w", s.Name, errMalformed)
	}
	var out []RawElement
	for b := a.v[3]; len(b) > 0; {
		_, v, rest, _, ok := nextAttr(b)
		if !ok {
			return nil, fmt.Errorf("elements of set %s: %w", s.Name, errMalformed)
		}
		e, err := decodeElement(v)
		if err != nil {
			return nil, fmt.Errorf("elements of set %s: %w", s.Name, err)
		}
		out = append(out, e)
		b = rest
	}
	return out, nil
}

// RawElement is an element as the kernel gives it.
type RawElement struct {
	snap.Element
	// End says that the element is where an interval ends: its key is the first
	// that is no longer inside (NFT_SET_ELEM_INTERVAL_END).
	End bool
}

// Types of NFTA_SET_ELEM_USERDATA records (libnftnl: include/udata.h).
const udataElemComment = 0

func decodeElement(b []byte) (RawElement, error) {
	a := newAttrs()
	if !a.parse(b, 11) {
		return RawElement{}, errMalformed
	}
	r := values{attrs: &a}
	f := r.u32(3)
	e := RawElement{End: f&1 != 0}
	e.Key, e.KeyEnd, e.CatchAll = r.bytes(1), r.bytes(10), f&2 != 0
	e.Data, e.Verdict = r.data(2)
	e.TimeoutMs, e.ExpiresMs = int64(r.u64(4)), int64(r.u64(5))
	e.Object = r.str(9)
	e.Exprs = r.exprs(7, 11, 0)
	if c, ok := udata(a.v[6], udataElemComment); ok {
		e.Comment = cstring(c)
	}
	if r.bad || f > 3 || (e.Key == nil) != e.CatchAll {
		return e, errMalformed
	}
	return e, nil
}
