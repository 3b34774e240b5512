package diag

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Witness is a flow that nobody needs: it is followed and tried because it meets
// what stops one that is needed, and that one's packets may not be sent, or would
// not show it. It is never at fault itself.
type Witness struct {
	FlowCase
	Of int // into Input.Flows: whom it speaks for
	// Fills says that it is one of a train, which fills queues: others wait behind
	// it, so that it goes last.
	Fills bool
}

// maxWitnessing bounds the witnesses: each stands for all that meets one place.
const maxWitnessing = 24

// witnesses are chosen from the model's ways alone, so that they are the same
// before and after the answers.
func (in *Input) witnesses() []Witness {
	w := &summoner{in: in, seen: map[string]bool{}}
	for i := range in.Flows {
		w.leg(i)
		w.train(i)
		w.segment(i)
		if !in.onlyAsked { // what was asked for is measured
			w.nearby(i)
			w.back(i)
			w.large(i)
		}
	}
	return w.out
}

type summoner struct {
	in   *Input
	seen map[string]bool
	out  []Witness
}

// add follows a flow and keeps it where the model has it end as wanted; one for
// each key.
func (s *summoner) add(of int, key, to string, fl sim.Flow, wanted func(*sim.Trace) bool) {
	if s.seen[key] || len(s.out) >= maxWitnessing {
		return
	}
	f := FlowCase{Kind: "witness", From: s.in.Who(fl.From), To: to, Flow: fl, Excused: true, Trace: s.in.World.Trace(fl)}
	if !wanted(f.Trace) {
		return
	}
	s.seen[key] = true
	f.Probe = s.in.probeOf(&f)
	s.out = append(s.out, Witness{FlowCase: f, Of: of, Fills: strings.HasPrefix(key, "train ")})
}

// leg is the second half of a connection that a proxy takes: it takes it before
// it tries the container, so that only its own way there proves anything.
func (s *summoner) leg(i int) {
	f := &s.in.Flows[i]
	if f.Trace.Proxy == nil || !f.Broken() || f.Trace.Where == nil {
		return
	}
	fl, where := f.Trace.Proxy.Flow, f.Trace.Where
	s.add(i, "leg "+fl.Dst.String()+placeKey(where), netip.AddrPortFrom(fl.Dst, fl.Dport).String()+"/"+string(fl.Proto), fl, func(t *sim.Trace) bool { return samePlace(t.Where, where) })
}

// nearby is a try at this host's own gateway in place of the world, to which
// nothing is sent.
func (s *summoner) nearby(i int) {
	f := &s.in.Flows[i]
	where := f.Trace.Where
	if f.Kind != "egress" && f.Kind != "diverted" || where == nil || !s.in.ours(where.Netns) || !f.Broken() && !opaque(f.Trace) {
		return
	}
	fl := f.Flow
	for _, dst := range s.in.neighbours(fl.Dst.Is4()) {
		fl.Dst = dst
		s.add(i, "nearby "+placeKey(where), netip.AddrPortFrom(dst, fl.Dport).String()+"/"+string(fl.Proto), fl, func(t *sim.Trace) bool {
			return (t.Verdict == sim.Dropped || t.Verdict == sim.Refused && f.Kind == "diverted" || opaque(t)) && samePlace(t.Where, where)
		})
	}
}

// back is a try at this host's gateway from a namespace of no engine, or of one that
// was told to write no rules, whose packets leave with their own private source: whether
// the router out there has a route back, as it may by will, only an answer tells.
func (s *summoner) back(i int) {
	f := &s.in.Flows[i]
	if f.Kind != "egress" || !f.Unmasked {
		return
	}
	src := f.Trace.ExitSrc.Addr()
	key := "back " + src.String()
	if n := s.in.Graph.NetworkOfAddr(src); n != nil {
		if e := s.in.Snap.Engine(n.Engine); e == nil || e.IPTables {
			return
		}
		key = fmt.Sprint("back ", n.Ref, src.Is4())
	}
	fl := f.Flow
	for _, dst := range s.in.neighbours(fl.Dst.Is4()) {
		fl.Dst = dst
		s.add(i, key, netip.AddrPortFrom(dst, fl.Dport).String()+"/"+string(fl.Proto), fl, func(t *sim.Trace) bool { return s.in.sameExit(t, f.Trace) })
	}
}

// sameExit says whether packets leave as one another do: a route back to one address
// of a network is one to all.
func (in *Input) sameExit(t, u *sim.Trace) bool {
	a, b := t.ExitSrc.Addr(), u.ExitSrc.Addr()
	n := in.Graph.NetworkOfAddr(a)
	return t.LeftHost == u.LeftHost && (a == b || n != nil && n == in.Graph.NetworkOfAddr(b) && a.Is4() == b.Is4())
}

// heardBack takes the flaw from flows whose source the gateway answers.
func (in *Input) heardBack() {
	for i := range in.Flows {
		f := &in.Flows[i]
		for k := range in.Witnesses {
			w := &in.Witnesses[k]
			if says := ProbeSays(w.Probe); f.Unmasked && in.sameExit(w.Trace, f.Trace) && (says == "delivered" || says == "refused") {
				f.Unmasked = false
			}
		}
	}
}

// opaque says whether a program decides that is not modelled, so that only a packet
// tells.
func opaque(t *sim.Trace) bool {
	return t.Verdict == sim.Unknown && t.Where != nil && (t.Where.Cause == sim.CauseXDP || t.Where.Cause == sim.CauseTC || t.Where.Cause == sim.CauseHook)
}

// neighbours are hosts at this one's uplinks: the gateways first, then any address
// there that is not its own.
func (in *Input) neighbours(v4 bool) []netip.Addr {
	var gws, rest []netip.Addr
	host := in.Snap.HostNs()
	for _, up := range Uplinks(in.Snap) {
		for i := range host.Routes {
			r := &host.Routes[i]
			if gw := r.Gateway; r.Oif == up.Index && r.Dst.Bits() == 0 && gw.IsValid() && gw.Is4() == v4 && !gw.IsLinkLocalUnicast() && !slices.Contains(gws, gw) {
				gws = append(gws, gw)
			}
		}
		for _, a := range host.AddrsOf(up.Index) {
			own := a.Prefix.Addr()
			if own.Is4() != v4 || own.IsLinkLocalUnicast() || a.Prefix.Bits() >= own.BitLen()-1 {
				continue
			}
			next := a.Prefix.Masked().Addr().Next()
			if next == own {
				next = next.Next()
			}
			rest = append(rest, next)
		}
	}
	return append(gws, rest...)
}

// large is an echo as large as the sender's own device takes, which may not be
// cut, over a way with a device that takes less: between neighbours, and from a
// container to this host's gateway.
func (s *summoner) large(i int) {
	f := &s.in.Flows[i]
	fl := sim.Flow{From: f.Flow.From, Dst: f.Flow.Dst, Proto: snap.ICMP, DF: true, Anew: true, StopOutside: true}
	if !fl.Dst.Is4() {
		fl.Proto = snap.ICMPv6
	}
	switch {
	case f.Kind == "peer" && f.Works():
	case f.Kind == "egress" && !f.Broken():
		gws := s.in.neighbours(fl.Dst.Is4())
		if len(gws) == 0 {
			return
		}
		fl.Dst = gws[0]
	default:
		return
	}
	own, least, at := s.in.sizes(f)
	if least == 0 || least >= own {
		return
	}
	fl.Size = own - headerBytes(fl.Dst)
	s.add(i, "large "+at, fl.Dst.String()+"/icmp", fl, func(t *sim.Trace) bool {
		return t.Verdict == sim.Dropped && t.Where != nil && t.Where.Cause == sim.CauseMTU
	})
}

// sizes are what the sender's own device takes, and what the narrowest one on the
// way and back does, and which that is.
func (in *Input) sizes(f *FlowCase) (own, least int, at string) {
	for _, hops := range [][]sim.Hop{f.Trace.Forward, f.Trace.Reply} {
		for i := range hops {
			l := in.Snap.Ns(hops[i].Netns).Link(hops[i].Device)
			if l == nil || l.MTU == 0 {
				continue
			}
			if own == 0 {
				own = l.MTU
			}
			if least == 0 || l.MTU < least {
				least, at = l.MTU, hops[i].Netns+"/"+l.Name
			}
		}
	}
	return own, least, at
}

// headerBytes are those of an echo before its payload.
func headerBytes(dst netip.Addr) int {
	if dst.Is6() {
		return 48
	}
	return 28
}

// segment is a full segment over a connection that was asked for, where the router
// that finds it too big would not be heard.
func (s *summoner) segment(i int) {
	f := &s.in.Flows[i]
	if !f.Asked || f.Outside || f.Flow.Size > 0 || f.Flow.Proto != snap.TCP || f.Trace.LeftHost == "" || f.Broken() {
		return
	}
	if t := s.in.World.TooBig(f.Flow); t == nil || t.Verdict != sim.Dropped {
		return
	}
	own, _, _ := s.in.sizes(f)
	fl := f.Flow
	if fl.Size = own - 40; fl.Dst.Is6() { // RFC 793 and 791: 20 each; RFC 8200: 40
		fl.Size = own - 60
	}
	s.add(i, "segment "+f.From+f.To, f.To, fl, func(t *sim.Trace) bool { return fl.Size > 0 && t.Verdict != sim.Dropped })
}

// trainEchoes is how many large echoes are sent at once where a queue holds
// packets back: more than a small bucket lets pass, less than a page.
const (
	trainEchoes = 8
	trainBytes  = 1400
)

// train is large echoes at once through a device with a queueing discipline of its
// own: what it holds back comes late, or never.
func (s *summoner) train(i int) {
	f := &s.in.Flows[i]
	if f.Kind != "peer" && !f.Asked || f.Outside || !f.Works() || f.Trace.ArrivedAs.IsValid() && f.Trace.ArrivedAs.Addr() != f.Flow.Dst {
		return
	}
	dev := ""
	for _, hops := range [][]sim.Hop{f.Trace.Forward, f.Trace.Reply} {
		for k := range hops {
			if l := s.in.Snap.Ns(hops[k].Netns).Link(hops[k].Device); l != nil && len(l.Qdiscs) > 0 {
				dev = hops[k].Netns + "/" + hops[k].Device
			}
		}
	}
	if dev == "" || s.seen["train "+dev] {
		return
	}
	fl := sim.Flow{From: f.Flow.From, Dst: f.Flow.Dst, Proto: snap.ICMP, StopOutside: true}
	if !fl.Dst.Is4() {
		fl.Proto = snap.ICMPv6
	}
	for k := range trainEchoes {
		fl.Size = trainBytes + k // so that each is a question of its own
		s.add(i, "train "+dev+string(rune('a'+k)), fl.Dst.String()+"/icmp", fl, func(t *sim.Trace) bool { return t.Verdict != sim.Dropped })
	}
	s.seen["train "+dev] = true
}

// placeKey tells places apart, as Groups does.
func placeKey(w *sim.Where) string {
	if w == nil {
		return ""
	}
	w = RulePlace(w)
	device := w.Device
	if w.Rule != nil {
		device = ""
	}
	key := string(w.Cause) + "|" + w.Netns + "|" + device + "|" + string(w.Ref)
	if w.Reply {
		key += "|reply"
	}
	return key
}

// samePlace says whether two places are one, whichever flows met them.
func samePlace(a, b *sim.Where) bool { return a != nil && b != nil && placeKey(a) == placeKey(b) }

// Shows says what the probe of a witness showed, when it ended where the model says;
// "" else.
func (in *Input) Shows(w *Witness) string {
	p := in.Prove(&w.FlowCase)
	if p == nil || p.Where == nil || p.Where != w.Trace.Where {
		return ""
	}
	size := ""
	if w.Flow.Size > 0 {
		size = fmt.Sprintf(" of %d bytes", w.Flow.Size+headerBytes(w.Flow.Dst))
	}
	return "a packet" + size + " " + w.From + " → " + w.To + " was tried: " + p.Detail
}

// testimony is what a witness of one of these flows showed, and its probe; "" when
// there is none.
func (in *Input) testimony(flows []int) (text string, probe *snap.Probe) {
	for i := range in.Witnesses {
		w := &in.Witnesses[i]
		of := &in.Flows[w.Of]
		if !slices.ContainsFunc(flows, func(k int) bool { return k == w.Of || samePlace(in.Flows[k].Trace.Where, of.Trace.Where) }) {
			continue
		}
		if samePlace(w.Trace.Where, of.Trace.Where) {
			if t := in.Shows(w); t != "" {
				return t, w.Probe
			}
		}
	}
	return "", nil
}
