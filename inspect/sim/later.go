package sim

import "github.com/netdoctor/netdoctor/inspect/snap"

// Later follows a TCP flow beyond the answer to its first packet: the ACK that ends
// the handshake, which conntrack calls established in the direction of the question
// (net/netfilter/nf_conntrack_core.c:resolve_normal_ct). Rules that let NEW out and
// ESTABLISHED only in stop it, and with it everything that the connection is for,
// while both ends of the handshake look well. A proxy's second connection counts.
// t is what Trace gave. The answer has Later set, and is nil when the handshake is
// not certain to succeed, or when what follows it gets through.
func (w *World) Later(t *Trace) *Trace {
	f := t.Flow
	if f.Proto != snap.TCP || !opens(t) {
		return nil
	}
	if l := w.later(f); l != nil {
		return l
	}
	if t.Proxy != nil {
		return w.Later(t.Proxy)
	}
	return nil
}

// opens says whether the handshake succeeds as far as this host goes.
func opens(t *Trace) bool {
	return t.Verdict == Delivered || t.Verdict == Unknown && t.LeftHost != "" && t.IfAnswered == Delivered
}

func (w *World) later(f Flow) *Trace {
	r := newRun(w, nil)
	defer r.done()
	r.how, r.useSnapConns, r.anew = ways{conns: true}, f.Sport != 0, f.Anew
	if !opens(r.trace(f)) || len(r.allAssumed()) > 0 {
		return nil
	}
	n, k := w.ns[f.From], r.newPacket(f)
	k.Src, k.Sport, k.Dst, k.Dport = r.sent.src, r.sent.sport, r.sent.dst, r.sent.dport
	k.TCPFlags, k.TCPMSS, k.Len = tcpACK, 0, k.Len-20 // the options of a SYN, but for the timestamps
	r.again()
	var end *fate
	if f.Iif != "" {
		end = r.arrive(n, f, k)
	} else {
		q := k.lookup()
		q.uid = k.Local.UID
		end = r.send(n, k, q)
	}
	if end == nil || end.kind != fateDropped || len(r.allAssumed()) > 0 {
		return nil
	}
	where := end.where
	where.Detail += ", once the connection is open"
	return &Trace{Flow: f, Verdict: Dropped, Where: &where, Forward: r.walked(), NATed: r.nats, Later: true}
}
