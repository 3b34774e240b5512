package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// Expressions that act on the packet or the flow.

func decodeNat(r *values) snap.Expr {
	r.need(1, 2)
	return &snap.Nat{
		Type: r.oneOf(1, natTypes), Family: r.family(2),
		AddrMin: r.reg(3), AddrMax: r.reg(4), ProtoMin: r.reg(5), ProtoMax: r.reg(6), Flags: r.flags(7, natFlags),
	}
}

func decodeMasq(r *values) snap.Expr {
	return &snap.Masq{Flags: r.flags(1, natFlags), ProtoMin: r.reg(2), ProtoMax: r.reg(3)}
}

func decodeRedir(r *values) snap.Expr {
	return &snap.Redir{ProtoMin: r.reg(1), ProtoMax: r.reg(2), Flags: r.flags(3, natFlags)}
}

func decodeTproxy(r *values) snap.Expr {
	return &snap.Tproxy{Family: r.family(1), Addr: r.reg(2), Port: r.reg(3)}
}

func decodeReject(r *values) snap.Expr {
	r.need(1)
	return &snap.Reject{Type: r.oneOf(1, rejectTypes), Code: r.u8(2)}
}

func decodeQueue(r *values) snap.Expr {
	f := r.u16(3)
	if f > 3 { // NFT_QUEUE_FLAG_BYPASS, NFT_QUEUE_FLAG_CPU_FANOUT
		r.bad = true
	}
	return &snap.Queue{Num: r.u16(1), Total: r.u16(2), Bypass: f&1 != 0, Fanout: f&2 != 0, Sreg: r.reg(4)}
}

func decodeDup(r *values) snap.Expr {
	return &snap.Dup{Addr: r.reg(1), Dev: r.reg(2)}
}

func decodeFwd(r *values) snap.Expr {
	r.need(1)
	return &snap.Fwd{Dev: r.reg(1), Addr: r.reg(2), Family: r.family(3)}
}

func decodeNotrack(*values) snap.Expr { return &snap.Notrack{} }

func decodeFlowOffload(r *values) snap.Expr {
	r.need(1)
	return &snap.FlowOffload{Table: r.str(1)}
}

func decodeSynproxy(r *values) snap.Expr {
	return &snap.Synproxy{MSS: r.u16(1), WScale: r.u8(2), Flags: r.u32(3)}
}

func decodeMatch(r *values) snap.Expr { return r.xt(false) }

func decodeTarget(r *values) snap.Expr { return r.xt(true) }

// xt reads what nft_compat carries: NFTA_MATCH_* and NFTA_TARGET_* have the
// same numbers (include/uapi/linux/netfilter/nf_tables_compat.h).
func (r *values) xt(target bool) snap.Expr {
	r.need(1, 2, 3)
	rev := r.u32(2)
	if rev > 255 {
		r.bad = true
	}
	return &snap.Xt{Target: target, Name: r.str(1), Rev: uint8(rev), Info: r.v[3]}
}
