package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hole is what lets forbidden flows of one kind in: rules of one chain, a
// policy, or that there is none.
type hole struct {
	by       diag.Evidence
	from, to []string // names of networks
	flows    []*diag.FlowCase
}

// holes are those of a kind, for the flows that want says; nil: all.
func holes(in *diag.Input, kind string, want func(*diag.FlowCase) bool) []hole {
	var out []hole
	for i := range in.Forbidden {
		f := &in.Forbidden[i]
		if f.Kind != kind || !f.GetsIn() || want != nil && !want(f) {
			continue
		}
		by := passage(in, f)
		k := slices.IndexFunc(out, func(o hole) bool { return chainOf(o.by) == chainOf(by) })
		if k < 0 {
			k, out = len(out), append(out, hole{by: by})
		}
		h, n := &out[k], in.Snap.Network(f.Network)
		h.flows = append(h.flows, f)
		if kind == "internal" {
			h.from = with(h.from, n)
			continue
		}
		h.to = with(h.to, n)
		if kind == "between" {
			h.from = with(h.from, networkOfSender(in, f))
		}
	}
	return out
}

// chainOf is where a rule is.
func chainOf(e diag.Evidence) string {
	chain, _, _ := strings.Cut(string(e.Ref), "/rule/")
	return chain
}

// with adds a network's name to a list that has it at most once.
func with(list []string, n *snap.Network) []string {
	if n == nil || slices.Contains(list, n.Name) {
		return list
	}
	list = append(list, n.Name)
	snap.Sort(list, snap.CompareNames)
	return list
}

// networkOfSender is the network from which a flow starts: the one that its
// first address is of.
func networkOfSender(in *diag.Input, f *diag.FlowCase) *snap.Network {
	if len(f.Trace.Forward) > 0 {
		if n := in.Graph.NetworkOfAddr(f.Trace.Forward[0].Src.Addr()); n != nil {
			return n
		}
	}
	return nil
}

// finding makes one of it: the flows, what let them through, and what live
// answers say.
func (h *hole) finding(in *diag.Input) diag.Finding {
	nets := h.from
	if len(nets) == 0 {
		nets = h.to
	}
	f := diag.Finding{Subject: diag.Subject{Kind: "network", Name: strings.Join(nets, ","), Netns: in.Snap.Host.Netns}}
	proved, refuted := 0, 0
	for _, x := range h.flows {
		f.Flows = append(f.Flows, diag.FlowRef{From: x.From, To: x.To})
		switch diag.ProbeSays(x.Probe) {
		case "delivered", "refused":
			if proved++; proved == 1 {
				f.Evidence = append(f.Evidence, ev(fmt.Sprintf("probe %d", x.Probe.ID), fmt.Sprintf("%s → %s: %s", x.From, x.To, x.Probe.Outcome), snap.RefProbe(x.Probe.ID)))
			}
		case "dropped":
			refuted++
		}
	}
	switch {
	case proved > 0:
		f.Confidence = diag.Proved
	case refuted > 0:
		f.Confidence = diag.Contradicted
	default:
		f.Confidence = diag.Predicted
	}
	f.Evidence = append(f.Evidence, h.by)
	return f
}

// who names the first of its flows, and counts the others.
func (h *hole) who() string {
	s := h.flows[0].From + " → " + h.flows[0].To
	if n := len(h.flows) - 1; n > 0 {
		s += " and " + diag.Count(n, "flow") + " more"
	}
	return s
}

// passage is what let a flow through: the last rule or policy of the host that
// accepted it; its network, where no rule had a say.
func passage(in *diag.Input, f *diag.FlowCase) diag.Evidence {
	host := in.Snap.HostNs()
	for _, h := range slices.Backward(f.Trace.Forward) {
		if h.Netns == host.ID && h.Verdict == "ok" && h.Rule != "" && strings.HasPrefix(h.Did, "accepted") && len(h.Because) > 0 {
			return ev(traceCommand(f), h.Rule, h.Because[len(h.Because)-1])
		}
	}
	return ev(traceCommand(f), "no rule of the host stops it", snap.RefNetwork(f.Network))
}

// traceCommand is the command that follows a flow: of one from outside by its addresses.
func traceCommand(f *diag.FlowCase) string {
	if !f.Flow.Src.IsValid() || f.Flow.Iif == "" {
		return "netdoctor trace " + f.From + " " + f.To
	}
	to := f.Flow.Dst.String() + "/" + string(f.Flow.Proto)
	if f.Flow.Dport != 0 {
		to = netip.AddrPortFrom(f.Flow.Dst, f.Flow.Dport).String() + "/" + string(f.Flow.Proto)
	}
	return fmt.Sprintf("netdoctor trace %s %s", f.Flow.Src, to)
}
