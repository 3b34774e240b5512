package sim

import "github.com/netdoctor/netdoctor/inspect/snap"

// TooBig follows the message that a router beyond this host would send about a
// packet of the flow that is too big for its next link (ICMP "fragmentation
// needed", RFC 1191; ICMPv6 "packet too big", RFC 8201) back to the sender. The
// trace's Reply is its way. nil when the flow does not leave the host, or the
// way out is not certain.
func (w *World) TooBig(f Flow) *Trace {
	f.StopOutside = true
	r := newRun(w, nil)
	defer r.done()
	n := w.ns[f.From]
	if n == nil || f.Iif != "" || !f.Dst.IsValid() {
		return nil
	}
	r.stopOutside = true
	k := r.newPacket(f)
	q := k.lookup()
	q.uid = k.Local.UID
	end := r.send(n, k, q)
	if end == nil || end.kind != fateOutside || end.ns == nil || end.dev == nil || len(r.allAssumed()) > 0 {
		return nil
	}
	out := &end.pkt
	inner := out.tuple()
	a := r.answerTo(out)
	a.Local, a.inner, a.TCPFlags, a.TCPMSS = nil, &inner, 0, 0
	a.Proto, a.ICMPType, a.ICMPCode, a.Sport, a.Dport, a.Len = snap.IPProtoICMP, icmpUnreachable, 4, 0, 0, 576
	if out.Family == snap.IPv6 {
		a.Proto, a.ICMPType, a.ICMPCode, a.Len = snap.IPProtoICMPv6, icmp6TooBig, 0, 1280
	}
	a.TTL, a.SrcMAC, a.DstMAC, a.EtherType = outsideTTL, out.DstMAC, out.SrcMAC, out.EtherType
	t := &Trace{Flow: f, Forward: r.walked(), LeftHost: end.dev.Name, LeftNetns: end.ns.n.ID}
	r.turn()
	back := r.receive(end.ns, end.dev, a)
	t.Verdict, t.Where = r.accepted(f, back, Delivered)
	t.Reply = r.walked()
	if len(r.allAssumed()) > 0 && t.Verdict != Delivered {
		t.Verdict = Unknown
	}
	return t
}

// icmp6TooBig is ICMPv6 "packet too big" (RFC 4443, section 3.2).
const icmp6TooBig = 2
