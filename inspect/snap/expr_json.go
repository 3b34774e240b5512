package snap

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// newExpr makes an empty expression of a kind; nil for a kind that this
// version does not have.
func newExpr(kind string) Expr {
	for _, e := range []Expr{
		&Immediate{}, &Payload{}, &Meta{}, &Cmp{}, &Range{}, &Bitwise{}, &Byteorder{}, &Lookup{}, &Dynset{}, &Ct{}, &Fib{},
		&Exthdr{}, &Rt{}, &Nat{}, &Masq{}, &Redir{}, &Tproxy{}, &Reject{}, &Counter{}, &Log{}, &Limit{}, &Quota{}, &Connlimit{},
		&Numgen{}, &Hash{}, &Objref{}, &Queue{}, &Dup{}, &Fwd{}, &Notrack{}, &FlowOffload{}, &Synproxy{}, &SocketExpr{},
		&Xt{}, &XtEntry{}, &EbEntry{}, &Unknown{},
	} {
		if e.Kind() == kind {
			return e
		}
	}
	return nil
}

// MarshalJSON writes [{"kind":{…}},…].
func (x Exprs) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, e := range x {
		if i > 0 {
			b.WriteByte(',')
		}
		v, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `{"%s":%s}`, e.Kind(), v)
	}
	b.WriteByte(']')
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON wrote. A kind of a newer version
// becomes Unknown.
func (x *Exprs) UnmarshalJSON(data []byte) error {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*x = make(Exprs, 0, len(list))
	for _, m := range list {
		if len(m) != 1 {
			return fmt.Errorf("expression with %d keys, want 1", len(m))
		}
		for kind, raw := range m {
			e := newExpr(kind)
			if e == nil {
				*x = append(*x, &Unknown{Name: kind, Raw: raw})
				continue
			}
			if err := json.Unmarshal(raw, e); err != nil {
				return fmt.Errorf("expression %s: %w", kind, err)
			}
			*x = append(*x, e)
		}
	}
	return nil
}
