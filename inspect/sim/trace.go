package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Trace follows the first packet of a flow and the answer to it. It never
// fails: what it can't tell is a verdict of Unknown with its reasons.
func (w *World) Trace(f Flow) *Trace { return w.traceDepth(f, 0) }

func (w *World) traceDepth(f Flow, depth int) *Trace {
	t, first := w.walk(f, ways{conns: true})
	if f.Iif == "" {
		w.redirected(t, f, first)
	}
	if first.usedConn && t.Verdict != Delivered && t.Where != nil {
		if fresh, _ := w.walk(f, ways{}); fresh.Verdict == Delivered {
			t.Where.Behind = &Where{Cause: t.Where.Cause, Detail: t.Where.Detail, Netns: t.Where.Netns, Device: t.Where.Device, Layer: t.Where.Layer, Reason: t.Where.Reason, Rule: t.Where.Rule, Ref: t.Where.Ref, Reply: t.Where.Reply}
			t.Where.Cause, t.Where.Layer = CauseStaleConn, "conntrack"
			t.Where.Detail = "an existing connection entry sends it another way than the rules now would: " + t.Where.Detail
		}
	}
	if t.Verdict == Delivered && depth < 2 {
		w.proxyLeg(t, depth)
	}
	if t.Verdict == Unknown && depth < 2 {
		w.userLeg(t, depth)
	}
	return t
}

// ways say what of the remembered state a walk goes by.
type ways struct {
	conns  bool                    // the snapshot's conntrack entries, if the flow has a source port of its own
	forget bool                    // not the redirects that were learned
	taught map[runNeigh]netip.Addr // redirects taken to have been learned
}

// met is what a walk met of it.
type met struct {
	usedConn  bool   // an entry of the snapshot's conntrack took part
	remembers string // what else was learned did
	redirects map[runNeigh]netip.Addr
	teacher   string
}

// walk follows all paths of a flow.
func (w *World) walk(f Flow, how ways) (t *Trace, m met) {
	var all []*Trace
	var with [][]rules.Assumption
	var picks []int
	for {
		r := newRun(w, picks)
		r.how, r.useSnapConns, r.anew = how, how.conns && f.Sport != 0, f.Anew
		all = append(all, r.trace(f))
		with = append(with, r.allAssumed())
		m.usedConn, m.remembers = m.usedConn || r.usedConn, cmp.Or(m.remembers, r.remembers)
		if m.redirects == nil {
			m.redirects, m.teacher = r.redirects, r.teacher
		}
		picks = r.next()
		r.done()
		if picks == nil || len(all) == maxPaths {
			break
		}
	}
	t = merge(all, with)
	if picks != nil {
		t.Verdict = Unknown
		t.Unknown = append(t.Unknown, fmt.Sprintf("more than %d ways to go", maxPaths))
	}
	return t, m
}

// merge folds the outcomes of all paths: one verdict if they agree.
func merge(all []*Trace, with [][]rules.Assumption) *Trace {
	t := all[0]
	if len(all) == 1 {
		return t
	}
	same, sure := true, true
	for _, o := range all[1:] {
		t.mayNAT(o.NATed)
		same = same && o.Verdict == t.Verdict && o.IfAnswered == t.IfAnswered
		sure = sure && o.Verdict != Unknown
	}
	t.StateDependent = sure && t.Verdict != Unknown
	t.Unknown = reasons(all, with)
	for _, list := range with {
		for _, a := range list {
			t.StateDependent = t.StateDependent && a.StateDependent
		}
	}
	if same {
		t.StateDependent = false
		return t
	}
	for i, o := range all {
		b := BranchOutcome{Assumed: with[i], Verdict: o.Verdict, Where: o.Where, Chance: 1}
		for _, a := range with[i] {
			b.Chance *= a.Chance
		}
		t.Branches = append(t.Branches, b)
	}
	if i := slices.IndexFunc(all, func(o *Trace) bool { return o.Where != nil && o.Where.Cause == CauseCgroup }); i >= 0 {
		t.Where = all[i].Where
	}
	if t.Where == nil {
		i := slices.IndexFunc(all, func(o *Trace) bool { return o.Where != nil })
		if i >= 0 {
			t.Where = all[i].Where
		}
	}
	t.Verdict, t.IfAnswered = Unknown, ""
	return t
}

// reasons are the conditions that decide between the outcomes: those that are
// found with some of the verdicts only. When the outcomes agree, they are all
// conditions that were met.
func reasons(all []*Trace, with [][]rules.Assumption) []string {
	type cond struct {
		what  string
		value bool
	}
	verdicts := map[Verdict]bool{}
	seen := map[cond]map[Verdict]bool{}
	var order []cond
	for i, o := range all {
		verdicts[o.Verdict] = true
		for _, a := range with[i] {
			c := cond{a.What, a.Value}
			if seen[c] == nil {
				seen[c] = map[Verdict]bool{}
				order = append(order, c)
			}
			seen[c][o.Verdict] = true
		}
	}
	var out []string
	add := func(s string) {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, o := range all {
		if o.Verdict == Unknown && o.Where != nil {
			add(o.Where.Detail)
		}
	}
	for _, c := range order {
		if len(seen[c]) < len(verdicts) {
			add(c.what)
		}
	}
	if len(out) == 0 {
		for _, c := range order {
			add(c.what)
		}
	}
	return out
}

// trace walks one path.
func (r *run) trace(f Flow) *Trace {
	t := &Trace{Flow: f}
	n := r.w.ns[f.From]
	if n == nil {
		return t.unknown(Where{Netns: f.From, Cause: CauseUnread, Detail: "there is no namespace " + f.From + " in this snapshot"})
	}
	if !f.Dst.IsValid() || f.Src.IsValid() && snap.FamilyOf(f.Src) != snap.FamilyOf(f.Dst) {
		return t.unknown(Where{Netns: f.From, Cause: CauseModel, Detail: "the flow has no destination of its source's family"})
	}
	f.Dst, r.stopOutside = f.Dst.Unmap(), f.StopOutside
	if f.Dst.IsUnspecified() && f.Iif == "" {
		// ip_route_output_key_hash_rcu: no destination is this host; the source
		// if one is given. IPv6 takes the loopback address (tcp_v6_connect).
		switch {
		case f.Dst.Is6():
			f.Dst = netip.IPv6Loopback()
		case f.Src.IsValid() && !f.Src.IsUnspecified():
			f.Dst = f.Src
		default:
			f.Dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	k := r.newPacket(f)
	var end *fate
	if f.Iif != "" {
		end = r.arrive(n, f, k)
	} else {
		to := k.dest().String()
		if f.Dport == 0 { // of a protocol without ports
			to = k.Dst.String()
		}
		r.hop(n, nil, "send", string(f.Proto)+" to "+to, "ok", k)
		r.asker = n
		q := k.lookup()
		q.uid = k.Local.UID
		k.group = r.sender(n)
		r.group = k.group
		if end = r.connects(n, k); end == nil {
			end = r.send(n, k, q)
		}
		if len(r.hops) > 0 && !r.hops[0].Src.Addr().IsValid() {
			r.hops[0].Src = netip.AddrPortFrom(r.sent.src, r.sent.sport)
		}
	}
	r.conclude(t, f, end)
	t.LeftHost, t.LeftNetns, t.NATed, t.Routes = r.leftHost, r.leftNetns, r.nats, slices.Clone(r.asks)
	if r.leftHost != "" {
		t.ExitSrc, t.ExitDst = netip.AddrPortFrom(r.exit.src, r.exit.sport), netip.AddrPortFrom(r.exit.dst, r.exit.dport)
	}
	return t
}

// arrive lets the packet come in from outside.
func (r *run) arrive(n *netns, f Flow, k *skb) *fate {
	dev := n.byName[f.Iif]
	if dev == nil {
		return r.unknown(n, nil, k, Where{Layer: "link", Cause: CauseUnread, Detail: n.n.ID + " has no device " + f.Iif})
	}
	if !f.Src.IsValid() {
		return r.unknown(n, dev, k, Where{Layer: "link", Cause: CauseModel, Detail: "a flow from outside needs a source"})
	}
	k.Local = nil
	k.SrcMAC, k.DstMAC, k.EtherType = n.macOf(dev, f.Src), dev.MAC, 0x0800
	if k.Family == snap.IPv6 {
		k.EtherType = 0x86dd
	}
	if br := n.bridgeOf(dev); br != nil {
		k.DstMAC = br.MAC
	}
	for _, e := range r.macvlans(n, dev) { // who is on that wire by a MAC of its own was asked for by ARP
		if _, holds := e.ns.n.HasAddr(f.Dst); holds {
			k.DstMAC = e.dev.MAC
		}
	}
	r.sent = k.tuple()
	r.hop(n, dev, "receive", "comes in by "+dev.Name, "ok", k)
	return r.receive(n, dev, k)
}

func (t *Trace) unknown(w Where) *Trace {
	t.Verdict, t.Where, t.Unknown = Unknown, &w, append(t.Unknown, w.Detail)
	return t
}

// conclude is what becomes of the request and then of its answer.
func (r *run) conclude(t *Trace, f Flow, end *fate) {
	if end == nil || end.kind != fateArrived {
		t.Forward = r.walked()
	}
	switch {
	case end == nil:
		t.unknown(Where{Netns: f.From, Cause: CauseModel, Detail: "the packet got lost in this program"})
	case end.kind == fateUnknown:
		t.unknown(end.where)
	case end.kind == fateOutside:
		r.took = end
		r.outsideAnswer(t, f, end)
	case end.kind == fateGroup:
		t.Verdict = Delivered
	case end.kind == fateArrived:
		r.took = end
		t.Arrived, t.ArrivedAs = end.ns.n.ID, end.pkt.dest()
		r.answer(t, f, end)
	default:
		w := end.where
		t.Verdict, t.Where = Dropped, &w
	}
}

// outsideTTL is with how much life left the answer of somebody out there comes in:
// he sends with 64 (RFC 1700), whatever this host's own packets begin with.
const outsideTTL = 64

// outsideAnswer is for a request that left what is known: it tells what would
// become of an answer.
func (r *run) outsideAnswer(t *Trace, f Flow, end *fate) {
	t.unknown(end.where)
	if r.leftHost == "" {
		r.leftHost, r.leftNetns, r.exit = end.dev.Name, end.ns.n.ID, end.pkt.tuple()
	}
	k := &end.pkt
	a := r.outsideTo(k)
	if e := k.encap; e != nil { // the answer to what is in the tunnel comes by the tunnel
		in := r.outsideTo(&e.inner)
		a.encap = &encap{e.vni, *in}
		a.Sport, a.Dport, a.Len = k.Sport, k.Dport, in.Len+k.Len-e.inner.Len
	}
	r.turn()
	back := r.receive(end.ns, end.dev, a)
	r.given(t, back)
	v, w := r.accepted(f, back, Delivered)
	t.Reply, t.IfAnswered = r.walked(), v
	if v == Dropped {
		t.Verdict, t.Where, t.Unknown = Dropped, w, nil
	}
}

// outsideTo is the answer of somebody out there.
func (r *run) outsideTo(k *skb) *skb {
	a := r.answerTo(k)
	a.TTL, a.Local = outsideTTL, nil
	a.SrcMAC, a.DstMAC, a.EtherType = k.DstMAC, k.SrcMAC, k.EtherType
	return a
}

// answer is for a request that arrived: who takes it, and whether the answer
// comes back.
func (r *run) answer(t *Trace, f Flow, end *fate) {
	n, k := end.ns, &end.pkt
	v, a, w := r.respond(t, end)
	if w != nil {
		w.Netns, w.Layer = n.n.ID, cmp.Or(w.Layer, "socket")
		if w.Device == "" && end.dev != nil {
			w.Device = end.dev.Name
		}
	}
	if a == nil {
		verdict := "drop"
		if v == Unknown {
			verdict = "unknown"
			t.unknown(*w)
		}
		t.Verdict, t.Where = v, w
		if w.Cause != CauseCgroup { // which has told of itself
			r.hop(n, end.dev, "socket", w.Detail, verdict, k, w.Ref)
		}
		t.Forward = r.walked()
		return
	}
	t.Forward = r.walked()
	if k.Dst.IsMulticast() { // an answer is the program's affair
		t.Verdict = Delivered
		return
	}
	r.turn()
	back := r.send(n, a, n.answering(a, k, end.dev))
	r.given(t, back)
	got, why := r.accepted(f, back, v)
	t.Reply, t.Verdict = r.walked(), got
	switch got {
	case Delivered:
	case Refused:
		t.Where = w
	default:
		t.Where = why
		if got == Unknown {
			t.Unknown = append(t.Unknown, why.Detail)
		}
	}
}

// answering is the look-up of an answer to what came in by a device; nil for none.
func (n *netns) answering(a, k *skb, dev *snap.Link) lookup {
	q := a.lookup()
	if dev == nil {
		return q
	}
	if vrf := n.vrfOf(dev); vrf != nil {
		q.oif = vrf.Index
	}
	// An answer to a link-local address leaves by the device that was asked on
	// (tcp_v6_route_req, sin6_scope_id), an echo reply rather by that one
	// (net/ipv6/icmp.c:icmpv6_echo_reply).
	switch {
	case k.Family == snap.IPv6 && a.Dst.IsLinkLocalUnicast() && q.oif == 0:
		q.oif = dev.Index
	case k.Proto == snap.IPProtoICMPv6:
		q.near = dev.Index
	}
	return q
}

// given notes what the answer to a SYN asked for, and by which device it comes back.
func (r *run) given(t *Trace, back *fate) {
	if back == nil {
		return
	}
	r.gave = back.pkt.TCPMSS
	if back.kind == fateArrived && back.ns.n.ID == t.Flow.From && back.dev != nil {
		t.CameBack = back.dev.Name
	}
}
