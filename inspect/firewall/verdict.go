package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// verdictCode names nf_tables' and netfilter's verdicts, which share one space
// of numbers (enum nft_verdicts, include/uapi/linux/netfilter.h). Only queue
// carries more in its upper bits.
func verdictCode(n int32) (string, bool) {
	switch n {
	case 0:
		return "drop", true
	case 1:
		return "accept", true
	case 2:
		return "stolen", true
	case -1:
		return "continue", true
	case -2:
		return "break", true
	case -3:
		return "jump", true
	case -4:
		return "goto", true
	case -5:
		return "return", true
	}
	if n > 0 && n&0xff == 3 {
		return "queue", true
	}
	return "", false
}

// data reads NFTA_DATA_VALUE or NFTA_DATA_VERDICT: exactly one of them.
func (r *values) data(i int) ([]byte, *snap.Verdict) {
	v := r.v[i]
	if v == nil {
		return nil, nil
	}
	a := littleAttrs()
	if !a.parse(v, 2) || a.extra || a.has(1) == a.has(2) {
		r.bad = true
		return nil, nil
	}
	if a.has(1) {
		return a.v[1], nil
	}
	return nil, r.verdict(a.v[2])
}

// bytes is data that can't be a verdict.
func (r *values) bytes(i int) []byte {
	d, v := r.data(i)
	if v != nil {
		r.bad = true
	}
	return d
}

// verdict reads NFTA_VERDICT_*.
func (r *values) verdict(b []byte) *snap.Verdict {
	a := littleAttrs()
	if !a.parse(b, 3) || a.extra {
		r.bad = true
		return nil
	}
	in := values{attrs: &a}
	in.need(1)
	code, ok := verdictCode(int32(in.u32(1)))
	v := &snap.Verdict{Code: code, Chain: in.str(2)}
	jumps := code == "jump" || code == "goto"
	if in.bad || !ok || jumps != (v.Chain != "") {
		r.bad = true
		return nil
	}
	return v
}

// reg reads a register number into 4-byte units; absent is snap.NoReg
// (net/netfilter/nf_tables_api.c:nft_parse_register).
func (r *values) reg(i int) int {
	if r.v[i] == nil {
		return snap.NoReg
	}
	switch n := r.u32(i); {
	case n == 0:
		return snap.VerdictReg
	case n <= 4:
		return int(n-1) * 4
	case n >= 8 && n <= 23:
		return int(n - 8)
	}
	r.bad = true
	return snap.NoReg
}
