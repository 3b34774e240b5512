package diag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Proof is what the wire says of a flow, beside what the model says.
type Proof struct {
	// Verdict of the wire; "" when nothing was proved.
	Verdict string
	// Where is the place in which the packet, or the answer, was seen to die: the
	// model's own words of it when it is the same place. nil: nobody saw it.
	Where *sim.Where
	// Differs says in words how the wire contradicts the model; "" when it
	// agrees, or does not tell.
	Differs string
	// Detail is what was sent and what came of it.
	Detail string
}

// Prove reconciles the model's way of a flow with what its probe met. nil when
// no probe proves anything.
func (in *Input) Prove(f *FlowCase) *Proof {
	p := f.Probe
	v := ProbeSays(p)
	if in.Spared(f) {
		return nil
	}
	if unheard(p) {
		v = "refused"
	}
	if v == "refused" && ambiguous(f) {
		// Only the rule's own counter tells the two apart.
		if in.counted(p, f.Trace.Where) != f.Trace.Where {
			return nil
		}
		v = "dropped"
	}
	// A rule that rejects tells the sender, which then says refused.
	if late := afterwards(f); late != nil && (v == "delivered" || v == "refused") {
		died := *p
		died.Died, died.Detail = late, "the first packet got through, but not what came after the answer"
		p, v = &died, "dropped"
	}
	if v == "" || in.beyond(f) {
		return nil
	}
	out := &Proof{Verdict: v, Detail: in.detail(p, nil)}
	if v == "delivered" {
		if halfway(f) && f.Trace.Verdict != sim.Delivered {
			return nil
		}
		if f.Trace != nil && (f.Trace.Verdict == sim.Dropped || f.Trace.Verdict == sim.Refused) {
			out.Differs = fmt.Sprintf("predicted %s%s, but the answer came back", f.Trace.Verdict, at(f.Trace.Where))
		}
		return out
	}
	var model *sim.Where
	if f.Trace != nil {
		model = f.Trace.Where
	}
	out.Where = in.place(p, model)
	if silent(p) && !in.noWayBack(p, model) && (out.Where == nil || p.Died == nil && len(p.Counted) == 0 && len(p.Ruled) == 0 && out.Where.Layer != "neigh") {
		return nil
	}
	out.Detail = in.detail(p, out.Where)
	switch {
	case f.Trace == nil || f.Trace.Verdict == sim.Unknown:
	case string(f.Trace.Verdict) != v:
		if f.Trace.LeftHost != "" && v == "dropped" && out.Where == nil {
			break // what lies beyond this host is not the model's
		}
		out.Differs = fmt.Sprintf("predicted %s%s, but the probe was %s%s", f.Trace.Verdict, at(f.Trace.Where), p.Outcome, at(out.Where))
	case out.Where != nil && model != nil && out.Where != model:
		out.Differs = fmt.Sprintf("predicted%s, but it died%s", at(model), at(out.Where))
	}
	return out
}

// Spared says that the model has a flow stopped by a program of its sender's control
// group, in which this program's own probes are not.
func (in *Input) Spared(f *FlowCase) bool {
	if f.Trace == nil || f.Trace.Where == nil {
		return false
	}
	w := f.Trace.Where
	return w.Cause == sim.CauseCgroup && w.Sender && !slices.Contains(in.Snap.Prober, w.Program)
}

// ambiguous says that a reset, or port unreachable, may be the destination's own as
// well as that of the rule by which the model says that it is rejected: nobody
// saw where the question ended.
func ambiguous(f *FlowCase) bool {
	return f.Probe != nil && !f.Probe.Watched && f.Probe.Outcome == snap.Refused && f.Trace != nil && f.Trace.Verdict == sim.Dropped &&
		f.Trace.Where != nil && f.Trace.Where.Rule != nil && !f.Trace.Where.Reply
}

// beyond says that a packet came in as if from outside, and that the model has the
// answer die out there: of that nothing is seen from here.
func (in *Input) beyond(f *FlowCase) bool {
	if f.Probe == nil || f.Probe.In == "" || f.Trace == nil || f.Trace.Where == nil || !f.Trace.Where.Reply {
		return false
	}
	n := in.Snap.Ns(f.Trace.Where.Netns)
	return n == nil || !n.Class.Ours()
}

// halfway says that the answer was docker-proxy's own: it takes a connection
// before it tries the container (moby cmd/docker-proxy/tcp_proxy_linux.go: Run),
// so nothing is proved of the way from there. Or that the handshake was answered,
// where the model has die what comes after it.
func halfway(f *FlowCase) bool {
	return f.Probe != nil && f.Probe.Kind == "tcp" && f.Probe.Outcome == snap.Answered && f.Trace != nil && (f.Trace.Proxy != nil || f.Trace.Later != "" && f.Probe.Size == 0)
}

// afterwards is where the packet after the handshake was seen to be dropped, if it
// is where the model says so; nil when nobody watched.
func afterwards(f *FlowCase) *snap.Seen {
	if f.Probe == nil || f.Trace == nil || f.Trace.Later == "" || f.Trace.Where == nil {
		return nil
	}
	i := slices.IndexFunc(f.Probe.Seen, func(s snap.Seen) bool {
		return s.What == snap.SeenDrop && !s.Answer && s.ICMP == nil && s.Netns == f.Trace.Where.Netns && s.Reason == f.Trace.Where.Reason
	})
	if i < 0 {
		return nil
	}
	return &f.Probe.Seen[i]
}

// unheard says that the destination's stack had no socket for the probe and that
// its error was never sent: errors are rate-limited (net/ipv4/icmp.c:
// icmpv4_xrlim_allow), and a sender that is not told is refused all the same.
func unheard(p *snap.Probe) bool {
	if p == nil || p.Kind == "tcp" || p.Outcome != snap.TimedOut || p.Died == nil || p.Died.Answer || p.Died.Reason != "NO_SOCKET" {
		return false
	}
	return !slices.ContainsFunc(p.Seen, func(s snap.Seen) bool { return s.Answer })
}

// silent says that the probe's silence proves nothing: many UDP services answer
// only what they understand. A packet that was seen to die proves something.
func silent(p *snap.Probe) bool {
	return p.Kind == "udp" && p.Outcome == snap.TimedOut && p.Died == nil && !p.Strange.IsValid()
}

// noWayBack says of a packet that was seen to come in where the model has no route
// for the answer whether the kernel itself, asked for one, has none: what a program
// then sends never becomes a packet.
func (in *Input) noWayBack(p *snap.Probe, model *sim.Where) bool {
	if model == nil || !model.Reply || model.Layer != "route" || !stayed(p, model) {
		return false
	}
	n, to := in.Snap.Ns(model.Netns), p.Seen[len(p.Seen)-1].Src.Addr()
	return n != nil && slices.ContainsFunc(n.RouteAnswers, func(a snap.RouteAnswer) bool { return a.Dst == to && a.Iif == 0 && a.Errno != "" })
}

// at says where, for the middle of a sentence.
func at(w *sim.Where) string {
	if w == nil {
		return ""
	}
	t := " in " + w.Netns
	if w.Device != "" {
		t += " on " + w.Device
	}
	if w.Rule != nil {
		t += " by " + ChainName(w)
	} else if w.Reason != "" {
		t += " (" + w.Reason + ")"
	}
	return t
}

// place is where a probe died: the model's place when the kernel's words, and
// the counters, fit it.
func (in *Input) place(p *snap.Probe, model *sim.Where) *sim.Where {
	if w := in.ruled(p, model); w != nil {
		return w
	}
	if w := in.counted(p, model); w != nil {
		return w
	}
	d := p.Died
	if d == nil {
		if p.Outcome == snap.Unroutable && model != nil && model.Netns == p.From && !model.Reply {
			return model // the sender's own stack refused it, where the model says so
		}
		if stayed(p, model) || in.answered(p, model) {
			return model
		}
		if p.Strange.IsValid() && model != nil && model.Reply && model.Netns == p.From {
			return model // it came back, and nobody takes it
		}
		return nil
	}
	for _, m := range []*sim.Where{model, behind(model)} {
		if m != nil && (fits(m, d) || flooded(p, m)) {
			return model
		}
	}
	if n := in.Snap.Ns(d.Netns); model != nil && model.Cause == sim.CauseNoWayBack && d.Answer && n != nil && !n.Class.Ours() {
		return model // it died out there, where the model has it sent
	}
	return &sim.Where{
		Netns: d.Netns, Device: d.Device, Layer: layerOf(d), Reason: d.Reason, Reply: d.Answer,
		Detail: "the kernel freed the packet in " + d.Netns + onDevice(d.Device) + because(d),
	}
}

// answered says whether the ICMP error that came back is of the namespace whose
// firewall the model says rejects.
func (in *Input) answered(p *snap.Probe, model *sim.Where) bool {
	if p.Outcome != snap.Rejected || !p.By.IsValid() || model == nil || model.Layer != "netfilter" || model.Reply {
		return false
	}
	n := in.Snap.Ns(model.Netns)
	if n == nil {
		return false
	}
	_, mine := n.HasAddr(p.By)
	return mine
}

// stayed says whether the last that was seen of a probe is that it came into the
// namespace where the model says that it ended without a drop to be seen: held
// there for a neighbour, or taken in by a stack that has no way to answer.
func stayed(p *snap.Probe, model *sim.Where) bool {
	if !p.Watched || p.Outcome != snap.TimedOut || model == nil {
		return false
	}
	if len(p.Seen) == 0 {
		return model.Netns == p.From && !model.Reply
	}
	last := &p.Seen[len(p.Seen)-1]
	return last.What == snap.SeenReceive && last.ICMP == nil && last.Netns == model.Netns && (model.Reply || !last.Answer)
}

func behind(w *sim.Where) *sim.Where {
	if w == nil {
		return nil
	}
	return w.Behind
}

// flooded says whether one of the copies that a bridge sent to all of its ports
// ended where the model says: all of them were for somebody else.
func flooded(p *snap.Probe, m *sim.Where) bool {
	if p.Died.Reason == "OTHERHOST" && m.Layer == "bridge" && m.Cause == sim.CausePortState {
		return true // the port that is shut is one of those that get no copy
	}
	if p.Died.Reason == m.Reason && m.Reason == "OTHERHOST" && m.Cause == sim.CauseTC {
		return true // a filter led it astray, and it came to somebody
	}
	return p.Died.Reason == "OTHERHOST" && m.Reason == "OTHERHOST" && slices.ContainsFunc(p.Seen, func(s snap.Seen) bool {
		return s.What == snap.SeenDrop && s.Reason == "OTHERHOST" && s.Netns == m.Netns && s.Answer == m.Reply
	})
}

// fits says whether a drop that was seen is the one that the model tells of.
func fits(m *sim.Where, d *snap.Seen) bool {
	if m.Netns != d.Netns || m.Reply != d.Answer {
		return false
	}
	// Older paths of the kernel free a packet without saying why.
	return m.Reason == "" || d.Reason == "" || d.Reason == "NOT_SPECIFIED" || m.Reason == d.Reason || m.Layer == "bridge" && slices.Contains(bridgeReasons, d.Reason)
}

// bridgeReasons are what a bridge says of late where it said nothing: it had no port to
// send by (net/bridge/br_forward.c:br_flood), or the port that the frame came in by does
// not forward, as none does while the bridge is down (br_input.c:br_handle_frame).
var bridgeReasons = []string{"NO_TX_TARGET", "BRIDGE_INGRESS_STP_STATE"}

// layerOf is the layer of the kernel's reason, or of its function.
func layerOf(d *snap.Seen) string {
	switch {
	case d.Reason == netfilterDrop || strings.HasPrefix(d.Func, "nf_"):
		return "netfilter"
	case strings.HasPrefix(d.Reason, "IP_"):
		return "route"
	case strings.HasPrefix(d.Reason, "NEIGH_"):
		return "neigh"
	case strings.HasPrefix(d.Reason, "TC_"), strings.HasPrefix(d.Reason, "QDISC_"):
		return "tc"
	case strings.HasPrefix(d.Reason, "VXLAN_"):
		return "vxlan"
	case d.Reason == "NO_SOCKET", strings.HasPrefix(d.Reason, "SOCKET_"), strings.HasPrefix(d.Reason, "TCP_"):
		return "socket"
	case strings.HasPrefix(d.Func, "br_"):
		return "bridge"
	case d.Reason == "OTHERHOST", d.Reason == "DEV_READY", d.Reason == "XDP":
		return "link"
	}
	return ""
}

func onDevice(dev string) string {
	if dev == "" {
		return ""
	}
	return " on " + dev
}

// because gives the kernel's words.
func because(d *snap.Seen) string {
	var t []string
	if d.Reason != "" {
		t = append(t, d.Reason)
	}
	if d.Func != "" {
		t = append(t, "at "+d.Func)
	}
	if len(t) == 0 {
		return ""
	}
	return " (" + strings.Join(t, " ") + ")"
}

// detail says in a clause what was sent and what came of it.
func (in *Input) detail(p *snap.Probe, w *sim.Where) string {
	t := p.Detail
	if t == "" {
		t = fmt.Sprintf("%d sent, %d answered", p.Sent, p.Got)
	}
	if p.Detail == "" && p.Outcome == snap.Refused {
		t = fmt.Sprintf("%d sent, refused", p.Sent)
	}
	if p.Detail == "" && p.Outcome == snap.Rejected { // the only answer is an error, and not of who was asked
		t = fmt.Sprintf("%d sent, rejected", p.Sent)
		if p.By.IsValid() {
			t += " by " + p.By.String()
		}
	}
	switch d := p.Died; {
	case d != nil && d.Answer:
		t += "; the answer died in " + d.Netns + onDevice(d.Device) + because(d)
	case d != nil && d.Reason == "NO_SOCKET":
		t += "; " + d.Netns + " has no socket for it" + because(d)
	case d != nil:
		t += "; it died in " + d.Netns + onDevice(d.Device) + because(d)
	case p.Watched && p.Outcome == snap.TimedOut && len(p.Seen) > 0:
		s := p.Seen[len(p.Seen)-1]
		what := "it was last seen "
		if s.Answer {
			what = "the answer was last seen "
		}
		if s.ICMP != nil {
			what = "an ICMP error about it was last seen "
		}
		if s.What == snap.SeenTransmit {
			what += "leaving "
		} else {
			what += "coming into "
		}
		t += "; " + what + s.Netns + " by " + s.Device
	case p.Watched && p.Outcome == snap.TimedOut:
		t += "; no device was given it"
	}
	if r := in.ruled(p, w); r != nil && w != nil && sameRule(r, w) {
		t += fmt.Sprintf("; the kernel's own trace names that rule, the last of %d", len(p.Ruled))
	}
	if c := in.decisive(p, w); c != nil {
		n := 0
		for _, k := range c.Sent {
			n += k
		}
		which := "that counter"
		if c.Ref == "" {
			which = c.Name + " of " + c.Netns
		}
		t += fmt.Sprintf("; %d more were sent, and %s grew by %d", n, which, c.Grew[0]+c.Grew[1])
	}
	return t + in.tracked(p)
}

// decisive is the counter of the rule that ended the probe; nil when none told.
func (in *Input) decisive(p *snap.Probe, w *sim.Where) *snap.Counted {
	if w == nil {
		return nil
	}
	for i := range p.Counted {
		c := &p.Counted[i]
		if !c.Exact() || c.Netns != w.Netns {
			continue
		}
		if c.Name == snap.ListenOverflows && in.queueFull(w) {
			return c
		}
		if e := in.ending(c); e != nil && sameRule(e, w) || w.Rule == nil && c.Name != "" && snap.StackReasons[c.Name] == w.Reason {
			return c
		}
	}
	return nil
}
