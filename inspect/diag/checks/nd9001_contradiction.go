package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd9001: model and wire disagree.
//
// netdoctor predicts each flow from the kernel's state and then tries it. Where the
// two differ, one of them is wrong: the state changed in between, something acts on
// packets that netdoctor does not model (an eBPF program, a hardware offload), or
// netdoctor has a bug. The same holds for the routes, where the kernel is asked for
// each decision, and for the names that the engines' resolvers answer. Run it
// again; if it stays, a snapshot helps to find it.
//
// See it by hand:
//
//	netdoctor trace FROM TO -v
//	netdoctor snapshot -o state.json.gz
//
// Sources: this program
func nd9001() diag.Check {
	return diag.Check{
		Code: "ND9001", Name: "contradiction", Severity: diag.Warning, Since: "0.1",
		Title: "The prediction and the live probe disagree",
		After: []diag.Code{"ND5116", "ND1111", "ND2302", "ND4207", "ND4304", "ND7201", "ND3303"}, // a server that waits for itself, a queue that holds packets back, an entry that is gone: no contradictions
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				p := in.Prove(f)
				// What lies beyond this host is not the model's; and what the host's
				// own rules keep apart need not be told of twice.
				if p == nil || p.Differs == "" || f.Unmasked || !f.Asked && f.Trace.Verdict != sim.Delivered || limited(in, f, p.Where) {
					continue
				}
				out = append(out, diag.Finding{
					Summary:    fmt.Sprintf("%s → %s: %s", f.From, f.To, p.Differs),
					Cause:      "the state changed meanwhile, something acts on packets that is not modelled, or netdoctor is wrong",
					Subject:    diag.Subject{Kind: "host", Name: f.From + " → " + f.To, Netns: f.Flow.From},
					Evidence:   stories(f, p),
					Covers:     diag.Cover{Traces: []int{i}},
					Confidence: diag.Contradicted,
					Advice:     fmt.Sprintf("run it again; if it stays: netdoctor trace %s %s -v, and netdoctor snapshot -o state.json.gz", f.From, f.To),
					Weight:     1,
				})
			}
			return append(append(out, misrouted(in)...), misnamed(in)...)
		},
	}
}

// limited says that a small hashlimit may have dropped the packet: it had credit when it
// was read, and the probes beside this one used that up.
func limited(in *diag.Input, f *diag.FlowCase, w *sim.Where) bool {
	if w == nil || w.Rule != nil || w.Reason != "NETFILTER_DROP" {
		return false
	}
	n := in.Snap.Ns(w.Netns)
	return n != nil && slices.ContainsFunc(n.HashLimits, func(h snap.HashLimit) bool {
		return h.Family == snap.FamilyOf(f.Flow.Dst) && (len(h.Entries) == 0 || slices.ContainsFunc(h.Entries, func(e snap.HashLimitEntry) bool { return e.Cap < 64*e.Cost }))
	})
}

// misnamed are names that a server answers otherwise than predicted.
func misnamed(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	seen := map[snap.Ref]bool{}
	for i := range in.Names {
		n := &in.Names[i]
		for _, c := range in.Misnamed(n) {
			if seen[c.Probe] || c.Seen != names.Resolved && endingTask(in, c.Name) {
				continue
			}
			seen[c.Probe] = true
			said := func(v names.Verdict, answers []string) string {
				if v == names.Resolved {
					return strings.Join(answers, ", ")
				}
				return string(v)
			}
			out = append(out, diag.Finding{
				Summary:    fmt.Sprintf("%s asked of %s by %s: predicted %s, but the answer is %s", c.Name, c.Server, in.Who(c.From), said(c.Predicted, c.PredictedAnswers), said(c.Seen, c.SeenAnswers)),
				Cause:      "the engine's records are not what it says of its containers, they changed meanwhile, or netdoctor is wrong",
				Subject:    diag.Subject{Kind: "name", Name: c.Name, Netns: c.From},
				Evidence:   []diag.Evidence{ev(sourceOf(in, n, c.Probe), lineOf(in, c.Probe, c.Name), c.Probe)},
				Covers:     diag.Cover{Names: []int{i}},
				Confidence: diag.Contradicted,
				Advice:     fmt.Sprintf("run it again; if it stays: netdoctor dns %s --from %s -o wide, and netdoctor snapshot -o state.json.gz", n.Ask.Name, in.Who(n.Ask.Netns)),
				Weight:     1,
			})
		}
	}
	return out
}

// endingTask says that a name may be that of a task which its swarm is stopping: its
// records are taken away first, so that nobody new comes, and the container runs on for
// its grace period (10 s; moby daemon/cluster/executor/container/controller.go
// deactivates the service binding before it stops). No listing tells the two apart.
func endingTask(in *diag.Input, name string) bool {
	return slices.ContainsFunc(in.Snap.Containers, func(c snap.Container) bool {
		return c.Labels["com.docker.swarm.task.id"] != "" && strings.EqualFold(c.Name, strings.TrimSuffix(name, "."))
	})
}

// misrouted are routing decisions that the kernel itself takes otherwise.
func misrouted(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		n := &in.Snap.Netns[i]
		if slices.ContainsFunc(in.Snap.Containers, func(c snap.Container) bool { return c.Netns == n.ID && c.State == snap.Vanished }) {
			continue // its devices went with it
		}
		for _, a := range n.RouteAnswers {
			q := sim.Asked(n, a)
			d := in.World.Route(n.ID, q).Contradicts(n, a)
			if d == "" {
				continue
			}
			what := "to " + a.Dst.String()
			if a.Src.IsValid() {
				what += " from " + a.Src.String()
			}
			if l := n.LinkAt(a.Iif); l != nil {
				what += " in by " + l.Name
			}
			out = append(out, diag.Finding{
				Summary:    fmt.Sprintf("%s: the route %s: %s", n.ID, what, d),
				Cause:      "the routes changed meanwhile, or netdoctor is wrong",
				Subject:    diag.Subject{Kind: "netns", Name: n.ID, Netns: n.ID},
				Evidence:   []diag.Evidence{ev("ip route get "+a.Dst.String(), d, snap.RefNetns(n.ID))},
				Covers:     diag.Cover{Traces: routedBy(in, n.ID, q)},
				Confidence: diag.Contradicted,
				Advice:     "run it again; if it stays, netdoctor snapshot -o state.json.gz helps to find out why",
				Weight:     1,
			})
			break // one of a namespace says it all
		}
	}
	return out
}

// stories are both: what the model says decided, and what became of the packet.
func stories(f *diag.FlowCase, p *diag.Proof) []diag.Evidence {
	var out []diag.Evidence
	if w := f.Trace.Where; w != nil {
		out = append(out, ev("model", w.Detail, w.Ref))
	}
	return append(out, ev(fmt.Sprintf("probe %d", f.Probe.ID), fmt.Sprintf("%s to %s: %s, %s", f.Probe.Kind, f.Probe.Dst, f.Probe.Outcome, p.Detail), snap.RefProbe(f.Probe.ID)))
}

// routedBy are the flows that hang on a routing decision.
func routedBy(in *diag.Input, netns string, q sim.RouteQuery) []int {
	var out []int
	for i := range in.Flows {
		if t := in.Flows[i].Trace; t != nil && slices.ContainsFunc(t.Routes, func(a sim.RouteAsk) bool {
			return a.Netns == netns && a.Dst == q.Dst && a.Src == q.Src && a.Iif == q.Iif
		}) {
			out = append(out, i)
		}
	}
	return out
}
