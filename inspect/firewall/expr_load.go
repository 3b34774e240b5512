package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// Expressions that fill registers: the attribute numbers are those of
// include/uapi/linux/netfilter/nf_tables.h, in the order of the enums.

func decodeImmediate(r *values) snap.Expr {
	r.need(1, 2)
	e := &snap.Immediate{Dreg: r.reg(1)}
	e.Data, e.Verdict = r.data(2)
	if (e.Verdict != nil) != (e.Dreg == snap.VerdictReg) {
		r.bad = true
	}
	return e
}

func decodePayload(r *values) snap.Expr {
	r.need(2, 3, 4)
	e := &snap.Payload{
		Dreg: r.reg(1), Base: r.oneOf(2, payloadBases), Offset: r.length(3), Len: r.length(4), Sreg: r.reg(5),
		CsumType: r.u32(6), CsumOffset: r.u32(7), CsumFlags: r.u32(8),
	}
	if (e.Dreg == snap.NoReg) == (e.Sreg == snap.NoReg) {
		r.bad = true
	}
	return e
}

func decodeMeta(r *values) snap.Expr {
	r.need(2)
	return &snap.Meta{Dreg: r.reg(1), Key: nameOf(metaKeys, r.u32(2)), Sreg: r.reg(3)}
}

func decodeCt(r *values) snap.Expr {
	r.need(2)
	e := &snap.Ct{Dreg: r.reg(1), Key: nameOf(ctKeys, r.u32(2)), Sreg: r.reg(4)}
	if r.has(3) {
		switch r.u8(3) { // enum ip_conntrack_dir
		case 0:
			e.Dir = "original"
		case 1:
			e.Dir = "reply"
		default:
			r.bad = true
		}
	}
	return e
}

func decodeFib(r *values) snap.Expr {
	r.need(1, 2)
	return &snap.Fib{Dreg: r.reg(1), Result: r.oneOf(2, fibResults), Flags: r.flags(3, fibFlags)}
}

func decodeExthdr(r *values) snap.Expr {
	r.need(2)
	e := &snap.Exthdr{
		Dreg: r.reg(1), Type: r.u8(2), Offset: r.length(3), Len: r.length(4), Op: r.oneOf(6, exthdrOps), Sreg: r.reg(7),
	}
	f := r.u32(5)
	e.Present = f&1 != 0
	if f > 1 {
		r.bad = true
	}
	return e
}

func decodeRt(r *values) snap.Expr {
	r.need(1, 2)
	return &snap.Rt{Dreg: r.reg(1), Key: r.oneOf(2, rtKeys)}
}

func decodeSocket(r *values) snap.Expr {
	r.need(1, 2)
	return &snap.SocketExpr{Key: r.oneOf(1, socketKeys), Dreg: r.reg(2), Level: r.u32(3)}
}

func decodeNumgen(r *values) snap.Expr {
	r.need(1, 2, 3)
	return &snap.Numgen{Dreg: r.reg(1), Modulus: r.u32(2), Mode: r.oneOf(3, numgenModes), Offset: r.u32(4)}
}

func decodeHash(r *values) snap.Expr {
	r.need(2, 4)
	return &snap.Hash{
		Sreg: r.reg(1), Dreg: r.reg(2), Len: r.length(3), Modulus: r.u32(4),
		Seed: r.u32(5), HasSeed: r.has(5), Offset: r.u32(6), Type: r.oneOf(7, hashTypes),
	}
}
