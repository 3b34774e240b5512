package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// Expressions that keep state or report.

func decodeCounter(r *values) snap.Expr {
	return &snap.Counter{Bytes: r.u64(1), Packets: r.u64(2)}
}

func decodeLog(r *values) snap.Expr {
	return &snap.Log{
		Group: r.u16(1), NFLog: r.has(1), Prefix: r.str(2), Snaplen: r.u32(3), QThresh: r.u16(4), Level: r.u32(5), Flags: r.u32(6),
	}
}

func decodeLimit(r *values) snap.Expr {
	r.need(1, 2)
	typ, f := r.u32(4), r.u32(5)
	if typ > 1 || f > 1 { // NFT_LIMIT_PKT_BYTES, NFT_LIMIT_F_INV
		r.bad = true
	}
	return &snap.Limit{Rate: r.u64(1), Unit: r.u64(2), Burst: r.u32(3), Bytes: typ == 1, Over: f == 1}
}

func decodeQuota(r *values) snap.Expr {
	r.need(1)
	f := r.u32(2)
	if f > 3 { // NFT_QUOTA_F_INV, NFT_QUOTA_F_DEPLETED
		r.bad = true
	}
	return &snap.Quota{Bytes: r.u64(1), Over: f&1 != 0, Used: r.u64(4)}
}

func decodeConnlimit(r *values) snap.Expr {
	r.need(1)
	f := r.u32(2)
	if f > 1 { // NFT_CONNLIMIT_F_INV
		r.bad = true
	}
	return &snap.Connlimit{Count: r.u32(1), Over: f == 1}
}

func decodeObjref(r *values) snap.Expr {
	e := &snap.Objref{Name: r.str(2), Sreg: r.reg(3), Set: r.str(4)}
	if r.has(1) {
		e.Type = r.oneOf(1, objectTypes)
	}
	if (e.Name == "") == (e.Set == "") {
		r.bad = true
	}
	return e
}
