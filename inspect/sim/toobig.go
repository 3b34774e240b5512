package sim

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TooBig follows the message about a packet of the flow that is too big for its next
// link (ICMP "fragmentation needed", RFC 1191; ICMPv6 "packet too big", RFC 8201) back
// to the sender: from a namespace that forwards and whose route or device takes less
// than the sender's own, else from a router beyond this host. The trace's Reply is its
// way. nil when the flow does not leave the host, or the way out is not certain.
func (w *World) TooBig(f Flow) *Trace {
	f.StopOutside = true
	if t := w.tooBigHere(f); t != nil {
		return t
	}
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
	a := r.tooBigMessage(out)
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

// tooBigMessage is the message about a packet.
func (r *run) tooBigMessage(k *skb) *skb {
	inner := k.tuple()
	a := r.answerTo(k)
	a.Local, a.inner, a.TCPFlags, a.TCPMSS = nil, &inner, 0, 0
	a.Proto, a.ICMPType, a.ICMPCode, a.Sport, a.Dport, a.Len = snap.IPProtoICMP, icmpUnreachable, 4, 0, 0, 576
	if k.Family == snap.IPv6 {
		a.Proto, a.ICMPType, a.ICMPCode, a.Len = snap.IPProtoICMPv6, icmp6TooBig, 0, 1280
	}
	return a
}

// tooBigHere is TooBig where one of our namespaces refuses a packet that fills the
// sender's device, before FORWARD sees it (net/ipv4/ip_forward.c): its message is sent
// as its own packets are, from the address that faces the sender (net/ipv4/icmp.c).
func (w *World) tooBigHere(f Flow) *Trace {
	n := w.ns[f.From]
	if n == nil || f.Iif != "" || !f.Dst.IsValid() || f.Proto != snap.TCP {
		return nil
	}
	ways := w.Route(f.From, RouteQuery{Dst: f.Dst}).Ways
	if len(ways) == 0 || n.byName[ways[0].Dev] == nil {
		return nil
	}
	r := newRun(w, nil)
	defer r.done()
	r.stopOutside = true
	k := r.newPacket(f)
	k.Len = n.byName[ways[0].Dev].MTU
	q := k.lookup()
	q.uid = k.Local.UID
	end := r.send(n, k, q)
	if end == nil || end.kind != fateDropped || end.where.Cause != CauseMTU || end.where.Reason != "PKT_TOO_BIG" || end.ns == n || len(r.allAssumed()) > 0 {
		return nil
	}
	a := r.tooBigMessage(&end.pkt)
	a.Src = netip.Addr{}
	t := &Trace{Flow: f, Forward: r.walked(), LeftHost: end.dev.Name, LeftNetns: end.ns.n.ID}
	r.turn()
	t.Verdict, t.Where = r.accepted(f, r.send(end.ns, a, a.lookup()), Delivered)
	t.Reply = r.walked()
	if len(r.allAssumed()) > 0 && t.Verdict != Delivered {
		t.Verdict = Unknown
	}
	return t
}
