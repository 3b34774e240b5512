package rules

import "github.com/netdoctor/netdoctor/inspect/snap"

// compileExpr makes an expression ready to run; nil for one that does nothing
// to a packet.
func (t *table) compileExpr(e snap.Expr) op {
	switch e := e.(type) {
	case *snap.Immediate:
		return immediateOp{e}
	case *snap.Cmp:
		return cmpOp{e}
	case *snap.Range:
		return rangeOp{e}
	case *snap.Bitwise:
		return bitwiseOp{e}
	case *snap.Byteorder:
		return byteorderOp{e}
	case *snap.Payload:
		return payloadOp{e}
	case *snap.Exthdr:
		return exthdrOp{e}
	case *snap.Meta:
		return metaOp{e}
	case *snap.Ct:
		return ctOp{e}
	case *snap.Rt:
		return rtOp{e}
	case *snap.Fib:
		return newFibOp(e)
	case *snap.SocketExpr:
		return socketOp{e}
	case *snap.Lookup:
		return lookupOp{e, t.sets[e.Set]}
	case *snap.Dynset:
		return dynsetOp{e, t.sets[e.Set], t.compileExprs(e.Exprs)}
	case *snap.Objref:
		return objrefOp{e, t, t.sets[e.Set]}
	case *snap.Numgen:
		return numgenOp{e}
	case *snap.Hash:
		return hashOp{e}
	case *snap.Limit:
		return limitOp(e)
	case *snap.Quota:
		return quotaOp(e)
	case *snap.Connlimit:
		return connlimitOp(e)
	case *snap.Nat:
		return natOp{e}
	case *snap.Masq:
		return masqOp{e}
	case *snap.Redir:
		return redirOp{e}
	case *snap.Tproxy:
		return tproxyOp{e}
	case *snap.Reject:
		return rejectOp{e}
	case *snap.Queue:
		return queueOp{e}
	case *snap.Notrack:
		return opFunc(notrack)
	case *snap.Synproxy:
		return opFunc(synproxy)
	case *snap.FlowOffload:
		return opFunc(flowOffload)
	case *snap.Fwd:
		return fwdOp{e}
	case *snap.Counter, *snap.Log, *snap.Dup:
		return nil // nft_counter.c, nft_log.c, nft_dup_*.c: the packet goes on as it is
	case *snap.XtEntry:
		return newEntryOp(e, t.src.Family)
	case *snap.EbEntry:
		return newEbEntryOp(e)
	case *snap.Xt:
		return t.compileXt(e)
	case *snap.Unknown:
		return unknownOp{e}
	}
	return opFunc(func(m *machine) ctl { return m.unknown("expression " + e.Kind()) })
}

// unknownOp is an expression that was not decoded.
type unknownOp struct{ *snap.Unknown }

func (o unknownOp) exec(m *machine) ctl {
	switch o.Name {
	case "last":
		return goOn // net/netfilter/nft_last.c only remembers the time
	case "osf", "xfrm", "tunnel", "inner", "socket", "rt", "exthdr", "fib", "hash", "numgen", "meta", "ct", "payload",
		"bitwise", "byteorder", "cmp", "range", "lookup", "connlimit", "limit", "quota", "match":
		// These write a register or break off; none of them gives a verdict.
		m.forget(0, len(m.regs), "expression "+o.Name)
		return m.ask(unsure("expression " + o.Name + ", which is not known,"))
	}
	return m.unknown("expression " + o.Name + ", which is not known,")
}
