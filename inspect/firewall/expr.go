package firewall

import (
	"bytes"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// decodeExprs decodes a list of expressions as NFTA_RULE_EXPRESSIONS and
// NFTA_SET_ELEM_EXPRESSIONS hold it. An expression that this version does not
// know, or not completely, becomes a snap.Unknown; the error is for a list
// whose attributes are broken.
func decodeExprs(list []byte) (snap.Exprs, error) {
	n := 0
	for b := list; ; n++ {
		_, _, rest, more, ok := nextAttr(b)
		if !ok {
			return nil, errMalformed
		}
		if !more {
			break
		}
		b = rest
	}
	out := make(snap.Exprs, 0, n)
	for b := list; len(b) > 0; {
		typ, v, rest, _, _ := nextAttr(b)
		if typ != 1 { // NFTA_LIST_ELEM
			return nil, errMalformed
		}
		e, err := decodeExpr(v, 0)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		b = rest
	}
	return out, nil
}

// maxDepth bounds expressions inside expressions: the kernel has one level
// (nft_dynset, nft_inner), a forged message could have thousands.
const maxDepth = 4

// decodeExpr decodes NFTA_EXPR_NAME and NFTA_EXPR_DATA.
func decodeExpr(b []byte, depth int) (snap.Expr, error) {
	var name, raw []byte
	for {
		typ, v, rest, more, ok := nextAttr(b)
		if !ok {
			return nil, errMalformed
		}
		if !more {
			break
		}
		switch typ {
		case 1:
			name = v
		case 2:
			raw = v
		}
		b = rest
	}
	if name == nil {
		return nil, errMalformed
	}
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	if depth < maxDepth {
		a := littleAttrs()
		r := values{attrs: &a}
		if e := r.expr(name, raw, depth); e != nil && !r.bad && !a.extra {
			return e, nil
		}
	}
	return &snap.Unknown{Name: string(name), Raw: raw}, nil
}

// expr decodes the data of an expression by its name; nil for one that is not
// known or whose attributes are broken. The number is the last attribute type
// that this version knows: with a higher one the expression is not understood.
func (r *values) expr(name, raw []byte, depth int) snap.Expr {
	switch string(name) {
	case "immediate":
		if r.parse(raw, 2) {
			return decodeImmediate(r)
		}
	case "payload":
		if r.parse(raw, 8) {
			return decodePayload(r)
		}
	case "meta":
		if r.parse(raw, 3) {
			return decodeMeta(r)
		}
	case "cmp":
		if r.parse(raw, 3) {
			return decodeCmp(r)
		}
	case "range":
		if r.parse(raw, 4) {
			return decodeRange(r)
		}
	case "bitwise":
		if r.parse(raw, 8) {
			return decodeBitwise(r)
		}
	case "byteorder":
		if r.parse(raw, 5) {
			return decodeByteorder(r)
		}
	case "lookup":
		if r.parse(raw, 5) {
			return decodeLookup(r)
		}
	case "dynset":
		if r.parse(raw, 10) {
			return decodeDynset(r, depth)
		}
	case "ct":
		if r.parse(raw, 4) {
			return decodeCt(r)
		}
	case "fib":
		if r.parse(raw, 3) {
			return decodeFib(r)
		}
	case "exthdr":
		if r.parse(raw, 7) {
			return decodeExthdr(r)
		}
	case "rt":
		if r.parse(raw, 2) {
			return decodeRt(r)
		}
	case "socket":
		if r.parse(raw, 3) {
			return decodeSocket(r)
		}
	case "numgen":
		if r.parse(raw, 4) {
			return decodeNumgen(r)
		}
	case "hash":
		if r.parse(raw, 7) {
			return decodeHash(r)
		}
	default:
		return r.action(name, raw)
	}
	return nil
}

// action is expr for the expressions that act, keep state or report.
func (r *values) action(name, raw []byte) snap.Expr {
	switch string(name) {
	case "nat":
		if r.parse(raw, 7) {
			return decodeNat(r)
		}
	case "masq":
		if r.parse(raw, 3) {
			return decodeMasq(r)
		}
	case "redir":
		if r.parse(raw, 3) {
			return decodeRedir(r)
		}
	case "tproxy":
		if r.parse(raw, 3) {
			return decodeTproxy(r)
		}
	case "reject":
		if r.parse(raw, 2) {
			return decodeReject(r)
		}
	case "counter":
		if r.parse(raw, 3) {
			return decodeCounter(r)
		}
	case "log":
		if r.parse(raw, 6) {
			return decodeLog(r)
		}
	case "limit":
		if r.parse(raw, 6) {
			return decodeLimit(r)
		}
	case "quota":
		if r.parse(raw, 4) {
			return decodeQuota(r)
		}
	case "connlimit":
		if r.parse(raw, 2) {
			return decodeConnlimit(r)
		}
	case "objref":
		if r.parse(raw, 5) {
			return decodeObjref(r)
		}
	case "queue":
		if r.parse(raw, 4) {
			return decodeQueue(r)
		}
	case "dup":
		if r.parse(raw, 2) {
			return decodeDup(r)
		}
	case "fwd":
		if r.parse(raw, 3) {
			return decodeFwd(r)
		}
	case "notrack":
		if r.parse(raw, 0) {
			return decodeNotrack(r)
		}
	case "flow_offload":
		if r.parse(raw, 1) {
			return decodeFlowOffload(r)
		}
	case "synproxy":
		if r.parse(raw, 3) {
			return decodeSynproxy(r)
		}
	case "match":
		if r.parse(raw, 3) {
			return decodeMatch(r)
		}
	case "target":
		if r.parse(raw, 3) {
			return decodeTarget(r)
		}
	}
	return nil
}
