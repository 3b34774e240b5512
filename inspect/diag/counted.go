package diag

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The most flows whose counters are looked at beside those that were asked for,
// and the most namespaces for each: every one costs two bursts of packets.
const (
	maxRecounts   = 6
	maxCountedIn  = 12
	netfilterDrop = "NETFILTER_DROP"
)

// Recount is a probe of which rule counters would tell more: which rule ended
// it, or where at all.
type Recount struct {
	Flow  int      // into Input.Flows
	Netns []string // Netns.IDs on the way
}

// Recounts are the probes to count again. Those of which the kernel itself told
// another end than a rule's need none.
func (in *Input) Recounts() []Recount {
	var out []Recount
	others := 0
	for i := range in.Flows {
		f := &in.Flows[i]
		if !in.countable(f) {
			continue
		}
		if !f.Asked {
			if others++; others > maxRecounts {
				continue
			}
		}
		out = append(out, Recount{Flow: i, Netns: in.OnTheWay(f)})
	}
	return out
}

func (in *Input) countable(f *FlowCase) bool {
	p := f.Probe
	if p == nil || len(p.Counted) > 0 || ProbeSays(p) != "dropped" && !ambiguous(f) {
		return false
	}
	if p.Outcome == snap.Unroutable && p.Errno != "EPERM" {
		return false // its own stack said why; nothing is sent
	}
	if !p.Watched {
		return true
	}
	if f.Asked && f.Trace != nil && in.queueFull(f.Trace.Where) {
		return true // the kernel frees the SYN as one that was served
	}
	if p.Died == nil && f.Asked && !in.seesDrops() {
		return true // who watched saw how far it came, and not why no further
	}
	if p.Died == nil || p.Died.Reason != netfilterDrop {
		return false
	}
	return f.Asked || in.Prove(f).Differs != ""
}

// queueFull says that the model has a listener's queue full.
func (in *Input) queueFull(w *sim.Where) bool {
	if w == nil || w.Cause != sim.CauseNoAnswer || w.Ref == "" {
		return false
	}
	v, err := in.Snap.At(w.Ref)
	s, ok := v.(*snap.Socket)
	return err == nil && ok && s.Queue > s.Backlog
}

// seesDrops says whether somebody watched who is told of drops.
func (in *Input) seesDrops() bool {
	return slices.ContainsFunc(in.Snap.Observers, func(o snap.Observer) bool { return o.Name == "tracepoints" && o.Have })
}

// OnTheWay are the namespaces that a flow which was probed goes through, by the model
// and by what was seen; at most maxCountedIn, and only those that can be entered.
func (in *Input) OnTheWay(f *FlowCase) []string {
	var out []string
	add := func(id string) {
		if n := in.Snap.Ns(id); n != nil && !n.Light && n.Path != "" && len(out) < maxCountedIn && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	add(f.Flow.From)
	for _, s := range f.Probe.Seen {
		add(s.Netns)
	}
	add(in.Snap.Host.Netns)
	if t := f.Trace; t != nil {
		for _, h := range slices.Concat(t.Forward, t.Reply) {
			add(h.Netns)
		}
	}
	return out
}

// counted is the place that the counters tell of; nil when they don't, or tell
// of several.
func (in *Input) counted(p *snap.Probe, model *sim.Where) *sim.Where {
	var ends []*sim.Where
	for i := range p.Counted {
		c := &p.Counted[i]
		if !c.Exact() || p.Died != nil && p.Died.Netns != c.Netns {
			continue
		}
		if w := in.ending(c); w != nil {
			if p.Died != nil {
				w.Reply, w.Device = p.Died.Answer, p.Died.Device
			}
			ends = append(ends, w)
		}
	}
	for _, w := range ends {
		if model != nil && sameRule(w, model) {
			return model
		}
	}
	if len(ends) == 1 {
		return ends[0]
	}
	if len(ends) > 1 || p.Died != nil {
		return nil
	}
	return stackPlace(p, model)
}

// stackPlace is the place that a counter of the stack tells of.
func stackPlace(p *snap.Probe, model *sim.Where) *sim.Where {
	var found *sim.Where
	for i := range p.Counted {
		c := &p.Counted[i]
		reason := snap.StackReasons[c.Name]
		if reason == "" || !c.Exact() {
			continue
		}
		d := &snap.Seen{Netns: c.Netns, Reason: reason}
		if model != nil {
			d.Answer = model.Reply
			if fits(model, d) || model.Netns == c.Netns && model.Layer == "route" {
				return model
			}
		}
		if found != nil {
			return nil
		}
		found = &sim.Where{Netns: c.Netns, Layer: layerOf(d), Reason: reason, Detail: "the stack of " + c.Netns + " counted each packet as " + c.Name}
	}
	return found
}

// ending is the place of a counted rule that ends packets, or of a policy that
// does; nil for any other.
func (in *Input) ending(c *snap.Counted) *sim.Where {
	if c.Ref == "" {
		return nil
	}
	return in.endingAt(c.Netns, "counted each packet", func(t *snap.Table, ch *snap.Chain, r *snap.Rule) bool {
		if r == nil {
			return snap.RefChain(c.Netns, t, ch.Name) == c.Ref
		}
		return snap.RefRule(c.Netns, t, ch.Name, r.Num) == c.Ref
	})
}

// endingAt is the place of a rule that ends packets, or of a policy that does
// (then the rule is nil), of which is says that it is the one; nil for none.
func (in *Input) endingAt(netns, did string, is func(*snap.Table, *snap.Chain, *snap.Rule) bool) *sim.Where {
	n := in.Snap.Ns(netns)
	if n == nil {
		return nil
	}
	for i := range n.Ruleset.Tables {
		t := &n.Ruleset.Tables[i]
		for j := range t.Chains {
			ch := &t.Chains[j]
			w := &sim.Where{
				Netns: n.ID, Layer: "netfilter", Reason: netfilterDrop,
				Rule: &rules.Place{System: t.System, Family: t.Family, Table: t.Name, Chain: ch.Name, ChainP: ch, TableP: t},
			}
			if ch.Policy == "drop" && is(t, ch, nil) {
				w.Ref = snap.RefChain(n.ID, t, ch.Name)
				w.Cause, w.Rule.Policy, w.Rule.Ref = sim.CausePolicy, true, w.Ref
				w.Detail = "the policy of " + t.Name + " " + ch.Name + " " + did
				return w
			}
			for k := range ch.Rules {
				r := &ch.Rules[k]
				if Ends(r) && is(t, ch, r) {
					w.Ref = snap.RefRule(n.ID, t, ch.Name, r.Num)
					w.Cause, w.Rule.Rule, w.Rule.Num, w.Rule.Handle, w.Rule.Ref = sim.CauseRule, r, r.Num, r.Handle, w.Ref
					w.Detail = ChainName(w) + " " + did
					return w
				}
			}
		}
	}
	return nil
}

// Ends says whether a rule that matches drops or rejects for certain.
func Ends(r *snap.Rule) bool {
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *snap.Immediate:
			if e.Verdict != nil && e.Verdict.Code == "drop" {
				return true
			}
		case *snap.Reject:
			return true
		case *snap.Xt:
			if e.Target && (e.Name == "REJECT" || e.Name == "DROP") {
				return true
			}
		}
	}
	return false
}

// sameRule says whether two places are the same rule, or the same policy.
func sameRule(a, b *sim.Where) bool {
	if a.Rule == nil || b.Rule == nil || a.Netns != b.Netns {
		return false
	}
	x, y := a.Rule, b.Rule
	return x.System == y.System && x.Family == y.Family && x.Table == y.Table && x.Chain == y.Chain && x.Policy == y.Policy && (x.Policy || x.Num == y.Num)
}
