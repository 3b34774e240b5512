package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// Expressions that compare and compute.

func decodeCmp(r *values) snap.Expr {
	r.need(1, 2, 3)
	return &snap.Cmp{Sreg: r.reg(1), Op: r.oneOf(2, cmpOps), Data: r.bytes(3)}
}

func decodeRange(r *values) snap.Expr {
	r.need(1, 2, 3, 4)
	return &snap.Range{Sreg: r.reg(1), Op: r.oneOf(2, cmpOps[:2]), From: r.bytes(3), To: r.bytes(4)}
}

// decodeBitwise: NFTA_BITWISE_OP is there since Linux 5.6, the operations on
// two registers (NFTA_BITWISE_SREG2, "&", "|", "^") since 6.13.
func decodeBitwise(r *values) snap.Expr {
	r.need(1, 2, 3)
	e := &snap.Bitwise{
		Sreg: r.reg(1), Dreg: r.reg(2), Len: r.length(3), Mask: r.bytes(4), Xor: r.bytes(5),
		Op: r.oneOf(6, bitwiseOps), Data: r.bytes(7), Sreg2: r.reg(8),
	}
	switch e.Op {
	case "mask-xor":
		r.need(4, 5)
		if len(e.Mask) != e.Len || len(e.Xor) != e.Len {
			r.bad = true
		}
	case "<<", ">>":
		r.need(7)
	default:
		if (e.Data == nil) == (e.Sreg2 == snap.NoReg) {
			r.bad = true
		}
	}
	return e
}

func decodeByteorder(r *values) snap.Expr {
	r.need(1, 2, 3, 4, 5)
	e := &snap.Byteorder{Sreg: r.reg(1), Dreg: r.reg(2), Op: r.oneOf(3, byteorderOps), Len: r.length(4), Size: r.length(5)}
	if e.Size != 2 && e.Size != 4 && e.Size != 8 {
		r.bad = true
	}
	return e
}

func decodeLookup(r *values) snap.Expr {
	r.need(1, 2)
	f := r.u32(5)
	if f > 1 { // NFT_LOOKUP_F_INV
		r.bad = true
	}
	return &snap.Lookup{Set: r.str(1), Sreg: r.reg(2), Dreg: r.reg(3), Invert: f&1 != 0}
}

func decodeDynset(r *values, depth int) snap.Expr {
	r.need(1, 3, 4)
	e := &snap.Dynset{
		Set: r.str(1), Op: r.oneOf(3, dynsetOps), SregKey: r.reg(4), SregData: r.reg(5), TimeoutMs: int64(r.u64(6)),
	}
	f := r.u32(9)
	e.Invert = f&1 != 0
	if f > 3 { // NFT_DYNSET_F_INV, NFT_DYNSET_F_EXPR
		r.bad = true
	}
	e.Exprs = r.exprs(7, 10, depth)
	return e
}

// exprs reads the stateful expressions of a set element or dynset: one of them
// in attribute one, several in list.
func (r *values) exprs(one, list, depth int) snap.Exprs {
	var out snap.Exprs
	add := func(b []byte) {
		e, err := decodeExpr(b, depth+1)
		if err != nil {
			r.bad = true
			return
		}
		out = append(out, e)
	}
	if r.has(one) {
		add(r.v[one])
	}
	for b := r.v[list]; len(b) > 0 && !r.bad; {
		typ, v, rest, _, ok := nextAttr(b)
		if !ok || typ != 1 {
			r.bad = true
			break
		}
		add(v)
		b = rest
	}
	return out
}
