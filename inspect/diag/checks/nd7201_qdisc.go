package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd7201: a queueing discipline throttles, loses or delays.
//
// tc(8) can limit the rate of a device (tbf), of a class of its packets (htb), and lose, delay or corrupt packets on
// purpose (netem). Tools for tests and bandwidth limits leave such disciplines
// behind: small replies still come, transfers crawl and time out. On the host's end
// of a veth it acts on what goes into the container. A tbf drops whatever is longer than
// its burst: one below the MTU lets small packets pass and no full one.
//
// See it by hand:
//
//	tc -s qdisc show dev DEVICE              dropped, overlimits grow
//	tc -s class show dev DEVICE              of htb: rate, ceil, overlimits
//	tc filter show dev DEVICE                whose packets go to which class
//	tc qdisc del dev DEVICE root
//
// False positives: a rate limit that is meant (CNI's bandwidth plugin); only rates
// below 1 Mbit/s are told of, and of a class that filters sort packets to as a remark, until
// a probe was held up.
//
// Sources: tc-tbf(8), tc-htb(8), tc-netem(8); net/sched/sch_tbf.c, sch_htb.c
func nd7201() diag.Check {
	return diag.Check{
		Code: "ND7201", Name: "traffic-shaped", Severity: diag.Error, Since: "0.1",
		Title:  "A queueing discipline throttles, loses or delays packets",
		Detect: detectND7201,
		Fix:    fixND7201,
	}
}

// slowBps is a rate below which a limit is taken for a mistake: it is less than
// a page a second.
const slowBps = 1_000_000

// badDelayMs and badLossPct are what people notice.
const (
	badDelayMs = 500
	badLossPct = 1
)

// harms says in words what a discipline does that nobody would want; "" nothing.
func harms(q *snap.Qdisc, mtu int) string {
	switch {
	case q.Kind == "tbf" && q.RateBps > 0 && q.RateBps < slowBps:
		return fmt.Sprintf("tbf limits it to %s", rate(q.RateBps))
	case q.Kind == "tbf" && q.BurstBytes > 0 && mtu > 0 && q.BurstBytes+16 < uint64(mtu): // the figure is rounded: psched ticks
		return fmt.Sprintf("tbf drops every packet that is longer than its burst of %d bytes (MTU %d)", q.BurstBytes, mtu)
	case q.Kind == "htb":
		return starved(q, q.DefaultClass)
	case q.Kind == "netem" && q.LossPct >= badLossPct:
		return fmt.Sprintf("netem loses %g %% of its packets", q.LossPct)
	case q.Kind == "netem" && q.DelayMs >= badDelayMs:
		return fmt.Sprintf("netem delays its packets by %g ms", q.DelayMs)
	case q.Kind == "netem" && q.RateBps > 0 && q.RateBps < slowBps:
		return fmt.Sprintf("netem limits it to %s", rate(q.RateBps))
	}
	return ""
}

// starved says so of a class of htb; "" when it has enough, or there is none such.
func starved(q *snap.Qdisc, class uint32) string {
	most := q.AtMost(class)
	if most == 0 || most >= slowBps {
		return ""
	}
	return fmt.Sprintf("htb limits its class %x:%x to %s", class>>16, class&0xffff, rate(most))
}

// starvedClass is a class to which filters sort packets, and that starves them; ""
// when all have enough.
func starvedClass(q *snap.Qdisc) string {
	for i := range q.Classes {
		leaf := !slices.ContainsFunc(q.Classes, func(c snap.TCClass) bool { return c.Parent == q.Classes[i].ID })
		if t := starved(q, q.Classes[i].ID); leaf && t != "" {
			return t
		}
	}
	return ""
}

// manyDropped is how many probes, of the few that are sent, a queue must drop before
// it is taken to drop for good: one is lost in any queue that is full for a moment.
const manyDropped = 2

// drops says that a device's discipline drops what it is given, as the kernel was seen
// to do with probes, and none came through; "" when it does not. What it is about a
// discipline that does so (no room at all, an unknown kind) need not be read.
func drops(in *diag.Input, netns string, l *snap.Link) string {
	n := 0
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		switch {
		case p.Died != nil && p.Died.Netns == netns && p.Died.Device == l.Name && p.Died.Reason == "QDISC_DROP":
			n++
		case slices.ContainsFunc(p.Seen, func(s snap.Seen) bool { return s.Netns == netns && s.Device == l.Name && s.What == snap.SeenTransmit }):
			return ""
		}
	}
	if n < manyDropped {
		return ""
	}
	return fmt.Sprintf("%s drops what it is given: %s died there", l.Qdiscs[0].Kind, diag.Count(n, "probe"))
}

func rate(bps uint64) string {
	if bps >= 10_000 {
		return fmt.Sprintf("%d kbit/s", bps/1000)
	}
	return fmt.Sprintf("%d bit/s", bps)
}

func detectND7201(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		for k := range ns.Links {
			l := &ns.Links[k]
			for j := range l.Qdiscs {
				does := harms(&l.Qdiscs[j], l.MTU)
				// What filters sort to a class is not followed: a probe has to show it.
				sorts := does != "" && len(l.Filters) > 0 && l.Qdiscs[j].Kind == "htb"
				if does == "" {
					does, sorts = starvedClass(&l.Qdiscs[j]), true
				}
				if does == "" && j == 0 {
					does, sorts = drops(in, ns.ID, l), false // the probes have shown it
				}
				if does == "" {
					continue
				}
				dev := l.Name
				if c := behind(in, ns, l); c != "" {
					dev += " (to " + c + ")"
				}
				f := diag.Finding{
					Summary:    fmt.Sprintf("%s in %s: %s", dev, in.Who(ns.ID), does),
					Cause:      fmt.Sprintf("the queueing discipline %s sits on %s", l.Qdiscs[j].Kind, l.Name),
					Subject:    diag.Subject{Kind: "link", Name: l.Name, Netns: ns.ID},
					Evidence:   []diag.Evidence{ev(in.IPCommand(ns.ID, "tc -s qdisc show dev "+l.Name), "qdisc "+l.Qdiscs[j].Kind+": "+does, snap.RefLink(ns.ID, l.Name))},
					Covers:     heldUp(in, ns, l),
					Confidence: diag.Predicted,
					Advice:     "find out who set it (a test tool, a bandwidth limit): it comes back with that",
					Weight:     48,
				}
				t := queued(in, f.Covers.Traces, ns.ID, l.Name)
				if t == "" && l.Qdiscs[j].Kind == "tbf" {
					t = overBurst(in, f.Covers.Traces, &l.Qdiscs[j])
				}
				if t != "" {
					f.Confidence = diag.Proved
					f.Evidence = append(f.Evidence, ev("probe", t, snap.RefNetns(ns.ID)))
				}
				if sorts && f.Confidence != diag.Proved { // whose packets filters sort there is not followed
					f.Severity, f.Covers, f.Weight = diag.Info, diag.Cover{}, 10
					for _, t := range picked(in, l) {
						f.Evidence = append(f.Evidence, ev(in.IPCommand(ns.ID, "tc filter show dev "+l.Name), t, snap.RefLink(ns.ID, l.Name)))
					}
					f.Advice = fmt.Sprintf("see whose packets filters sort to that class (addresses and masks in hex), and whether it is used: %s; %s", in.IPCommand(ns.ID, "tc filter show dev "+l.Name), in.IPCommand(ns.ID, "tc -s class show dev "+l.Name))
				}
				out = append(out, f)
			}
		}
	}
	return out
}

// heldUp is what a queue of a device may have kept from working: flows that were asked
// for, those whose probes failed though nothing else stops them, and names that the
// container behind it asks in vain.
func heldUp(in *diag.Input, ns *snap.Netns, l *snap.Link) diag.Cover {
	var c diag.Cover
	for i := range in.Flows {
		f := &in.Flows[i]
		if !passes(f, ns.ID, l.Name) && !sentBy(in, f, l) {
			continue
		}
		if p := in.Prove(f); f.Asked || p != nil && p.Differs != "" && f.Trace.Verdict == sim.Delivered {
			c.Traces = append(c.Traces, i)
		}
	}
	behind := ns
	if p, ok := in.Graph.Peer(l); ok && l.Kind == "veth" && p.Netns != ns {
		behind = p.Netns
	}
	c.Names = coverNames(in, func(n *diag.NameCase) bool {
		return behind.ID != in.Snap.Host.Netns && n.Ask.Netns == behind.ID && upstreamCut(n)
	})
	return c
}

// sentBy says whether a packet of a flow, or an answer, comes in by the other end of a
// veth: stages name the device that a packet came in by, not the one that sent it there.
func sentBy(in *diag.Input, f *diag.FlowCase, l *snap.Link) bool {
	p, ok := in.Graph.Peer(l)
	if !ok || l.Kind != "veth" {
		return false
	}
	for t := f.Trace; t != nil; t = t.Proxy {
		// What sends a packet first names the device that it leaves by.
		comes := func(way []sim.Hop, sender string) bool {
			return p.Netns.ID != sender && slices.ContainsFunc(way, func(h sim.Hop) bool { return h.Netns == p.Netns.ID && h.Device == p.Link.Name })
		}
		if comes(t.Forward, t.Flow.From) || comes(t.Reply, t.Arrived) || p.Netns.ID == t.Flow.From && p.Link.Name == t.CameBack {
			return true
		}
	}
	return false
}

// overBurst says of a token bucket that echoes show it: those that its burst takes with
// their Ethernet header are answered, and longer ones are not. "": none tells.
func overBurst(in *diag.Input, flows []int, q *snap.Qdisc) string {
	const header, ticks = 14, 16 // the figure of the burst is rounded: psched ticks
	for _, i := range flows {
		f := &in.Flows[i]
		if m := in.PathMTU(f); m.Silent() && uint64(m.Fits+header) <= q.BurstBytes+ticks && q.BurstBytes < uint64(m.TooBig+header+ticks) {
			return fmt.Sprintf("%s → %s: echoes of up to %d bytes are answered, %d are not: with Ethernet's header that is its burst", f.From, f.To, m.Fits, m.TooBig)
		}
	}
	return ""
}

// queued says how a probe met the queue of a device: it came into the namespace
// and was never handed to the device, or only after a time that people notice.
// "": no probe tells.
func queued(in *diag.Input, flows []int, netns, dev string) string {
	var cases []*diag.FlowCase
	for _, i := range flows {
		cases = append(cases, &in.Flows[i])
	}
	for i := range in.Witnesses {
		if w := &in.Witnesses[i].FlowCase; passes(w, netns, dev) {
			cases = append(cases, w)
		}
	}
	for _, c := range cases {
		p := c.Probe
		if p == nil || !p.Watched {
			continue
		}
		if d := p.Died; d != nil && d.Netns == netns && d.Device == dev && strings.HasPrefix(d.Reason, "QDISC_") {
			return fmt.Sprintf("a packet of %d bytes was dropped in front of %s (%s)", c.Flow.Size+echoHeaders(c), dev, d.Reason)
		}
		for _, answer := range []bool{false, true} {
			came, left := -1.0, -1.0
			for _, x := range p.Seen {
				switch {
				case x.Answer != answer || x.Netns != netns:
				case x.What == snap.SeenTransmit && x.Device == dev:
					left = x.AfterMs
				case x.What == snap.SeenReceive && came < 0:
					came = x.AfterMs
				}
			}
			expected := slices.ContainsFunc(hopsOf(c, answer), func(d string) bool { return d == netns+"/"+dev })
			switch {
			case answer && came < 0 && arrived(c, netns) && expected && left < 0 && (p.Died == nil || p.Died.Reason == "NOT_SPECIFIED") && p.Outcome == snap.TimedOut:
				return "the packet came into " + in.Who(netns) + ", and no answer was handed to " + dev + " while the probe waited"
			case came < 0 || !expected:
			case left < 0 && p.Died == nil && p.Outcome == snap.TimedOut:
				return "the packet came into " + in.Who(netns) + " and was never handed to " + dev + " while the probe waited"
			case left-came >= badDelayMs:
				return fmt.Sprintf("the packet waited %.0f ms in front of %s", left-came, dev)
			}
		}
	}
	return ""
}

// arrived says whether the probe of a flow was seen to come into the namespace that
// has to answer it.
func arrived(f *diag.FlowCase, netns string) bool {
	return f.Trace != nil && f.Trace.Arrived == netns && slices.ContainsFunc(f.Probe.Seen, func(x snap.Seen) bool {
		return x.What == snap.SeenReceive && !x.Answer && x.Netns == netns
	})
}

// hopsOf are the devices of one way of a flow, "netns/device".
func hopsOf(f *diag.FlowCase, answer bool) []string {
	if f.Trace == nil {
		return nil
	}
	list := f.Trace.Forward
	if answer {
		list = f.Trace.Reply
	}
	var out []string
	for _, h := range list {
		out = append(out, h.Netns+"/"+h.Device)
	}
	return out
}

// behind is the container at the other end of a veth; "" none.
func behind(in *diag.Input, ns *snap.Netns, l *snap.Link) string {
	if p, ok := in.Graph.Peer(l); ok && l.Kind == "veth" && p.Netns != ns {
		return in.Who(p.Netns.ID)
	}
	return ""
}

// enough is a burst in bytes by which a token bucket reaches its rate: what it sends
// between two ticks of the slowest kernel's clock, and several whole packets.
func enough(q *snap.Qdisc, mtu int) uint64 {
	const hz, packets, header = 100, 4, 14
	return max(q.RateBps/8/hz, packets*uint64(mtu+header))
}

// fixND7201 takes the discipline off, or gives one that limits to a rate that may be
// meant the burst that it needs.
func fixND7201(in *diag.Input, f *diag.Finding) []fixups.Op {
	if f.Severity == diag.Info {
		return nil
	}
	ns := in.Netns(f.Subject.Netns)
	l := ns.Link(f.Subject.Name)
	for i := range l.Qdiscs {
		if q := l.Qdiscs[i]; q.Kind == "tbf" && q.RateBps >= slowBps && harms(&q, l.MTU) != "" {
			f.Advice = "the rate stays; give it this burst where it is set, too (tc-tbf(8): no less than the rate by HZ, and than a whole packet)"
			q.BurstBytes = enough(&q, l.MTU)
			return []fixups.Op{&fixups.QdiscBurst{Where: at(in, ns.ID), Dev: l.Name, Qdisc: q}}
		}
		if harms(&l.Qdiscs[i], l.MTU) != "" || starvedClass(&l.Qdiscs[i]) != "" {
			return []fixups.Op{&fixups.QdiscDel{Where: at(in, ns.ID), Dev: l.Name, Qdisc: l.Qdiscs[i]}}
		}
	}
	if len(l.Qdiscs) > 0 && slices.Contains([]string{"pfifo", "bfifo", "tbf", "netem", "red", "codel"}, l.Qdiscs[0].Kind) && drops(in, ns.ID, l) != "" {
		// One whose classes hold the queues is not for this: ours are those that are read.
		return []fixups.Op{&fixups.QdiscDel{Where: at(in, ns.ID), Dev: l.Name, Qdisc: l.Qdiscs[0]}}
	}
	return nil
}
