package firewall

import (
	"bytes"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// DecodeExprs decodes a list of expressions as NFTA_RULE_EXPRESSIONS and
// NFTA_SET_ELEM_EXPRESSIONS hold it. An expression that this version does not
// know, or not completely, becomes a snap.Unknown; the error is for a list
// whose attributes are broken.
func DecodeExprs(list []byte) (snap.Exprs, error) {
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
	var head, a attrs
	if !head.parse(b, 2) || !head.has(1) {
		return nil, errMalformed
	}
	name := head.v[1]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	raw := head.v[2]
	if depth < maxDepth {
		if last, decode := decoder(name); decode != nil && a.parse(raw, last) && !a.extra {
			r := values{attrs: &a}
			if e := decode(&r, depth); !r.bad && e != nil {
				return e, nil
			}
		}
	}
	return &snap.Unknown{Name: string(name), Raw: raw}, nil
}

// decoder is the last attribute type that an expression has, and how to decode
// it; nil for one that is not known.
func decoder(name []byte) (last int, decode func(r *values, depth int) snap.Expr) {
	switch string(name) {
	case "immediate":
		return 2, decodeImmediate
	case "payload":
		return 8, decodePayload
	case "meta":
		return 3, decodeMeta
	case "cmp":
		return 3, decodeCmp
	case "range":
		return 4, decodeRange
	case "bitwise":
		return 8, decodeBitwise
	case "byteorder":
		return 5, decodeByteorder
	case "lookup":
		return 5, decodeLookup
	case "dynset":
		return 10, decodeDynset
	case "ct":
		return 4, decodeCt
	case "fib":
		return 3, decodeFib
	case "exthdr":
		return 7, decodeExthdr
	case "rt":
		return 2, decodeRt
	case "nat":
		return 7, decodeNat
	case "masq":
		return 3, decodeMasq
	case "redir":
		return 3, decodeRedir
	case "tproxy":
		return 3, decodeTproxy
	case "reject":
		return 2, decodeReject
	case "counter":
		return 3, decodeCounter
	case "log":
		return 6, decodeLog
	case "limit":
		return 6, decodeLimit
	case "quota":
		return 4, decodeQuota
	case "connlimit":
		return 2, decodeConnlimit
	case "numgen":
		return 4, decodeNumgen
	case "hash":
		return 7, decodeHash
	case "objref":
		return 5, decodeObjref
	case "queue":
		return 4, decodeQueue
	case "dup":
		return 2, decodeDup
	case "fwd":
		return 3, decodeFwd
	case "notrack":
		return 0, decodeNotrack
	case "flow_offload":
		return 1, decodeFlowOffload
	case "synproxy":
		return 3, decodeSynproxy
	case "socket":
		return 3, decodeSocket
	case "match", "target":
		if name[0] == 't' {
			return 3, decodeTarget
		}
		return 3, decodeMatch
	}
	return 0, nil
}
