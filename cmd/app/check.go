package app

import (
	"cmp"
	"context"
	"slices"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// CheckOptions are those of check; the zero value looks at the whole host.
type CheckOptions struct {
	Common
	Targets []string
	// Audit looks for what is exposed, too, and whether what must not be
	// reachable is not.
	Audit bool
}

// Check looks at the host, or at some targets of it.
func (a *App) Check(ctx context.Context, o CheckOptions) (*v1.CheckResult, error) {
	start := a.now()
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	only, err := a.only(s, o.Targets)
	if err != nil {
		return nil, err
	}
	ex, err := a.examine(ctx, s, nil, diag.Options{Only: only, Audit: o.Audit}, o.Common)
	if err != nil {
		return nil, err
	}
	r := diag.Run(ex.in, a.Checks)
	if only != nil {
		r.Findings = touching(ex.in.Snap, r.Findings, only)
	}
	res := checkResult(ex, r, s, o)
	res.Head = a.head(v1.KindCheck, start)
	return res, nil
}

// checkResult is the answer of a check-up, without its head.
func checkResult(ex examination, r diag.Report, s *snap.Snapshot, o CheckOptions) *v1.CheckResult {
	res := &v1.CheckResult{
		Targets: o.Targets,
		Host:    hostInfo(s, o.Snapshot),
		Checked: checked(ex.in, o.Verbose),
		Sent:    sent(ex.sent),
		Tail:    tail(ex.in.Snap, r),
	}
	for i := range ex.in.Flows {
		f := &ex.in.Flows[i]
		if !unmet(ex.in, f) {
			continue
		}
		k := v1.Skip{Check: "ND5117", Reason: f.Trace.Where.Detail, Netns: f.Trace.Where.Netns}
		if !slices.Contains(res.Coverage.Skipped, k) {
			res.Coverage.Skipped = append(res.Coverage.Skipped, k)
		}
	}
	res.Summary = v1.Summary{Passed: r.Checked, Unknown: openWays(ex.in), Skipped: len(res.Coverage.Skipped)}
	count(s, &res.Summary)
	for i := range res.Findings {
		switch res.Findings[i].Severity {
		case string(diag.Error):
			res.Summary.Errors++
		case string(diag.Warning):
			res.Summary.Warnings++
		default:
			res.Summary.Infos++
		}
	}
	switch {
	case AnyFailing(res.Findings, o.FailOn):
		res.Verdict = "problems"
	case undecided(ex.in), len(o.Targets) > 0 && len(ex.in.Flows)+len(ex.in.Names) == 0: // nothing was followed
		res.Verdict = "unknown"
	default:
		res.Verdict = "healthy"
	}
	return res
}

// only are the namespaces of the targets; nil for none given.
func (a *App) only(s *snap.Snapshot, targets []string) ([]string, error) {
	var out []string
	for _, text := range targets {
		t, err := finder{s}.any(text)
		if err != nil {
			return nil, err
		}
		for _, n := range t.Notes {
			a.note("%s", n)
		}
		switch t.Kind {
		case kindNetwork:
			for i := range s.Containers {
				c := &s.Containers[i]
				on := slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool { return s.NetworkOf(c.Engine, &e) == t.Network })
				if on && c.Netns != "" {
					out = append(out, c.Netns)
				}
			}
			out = append(out, "net:"+t.Network.Name)
		case kindInternet:
			return nil, Usagef("the internet can't be checked from here; trace a container to it")
		case kindAddress:
			return nil, snap.Hint(Usagef("%s is an address, not a thing to check", text), "netdoctor trace SRC "+text)
		case kindContainer:
			if t.Netns == "" {
				out = append(out, t.Container.Ref)
				continue
			}
			out = append(out, t.Netns)
		default:
			out = append(out, t.Netns)
		}
	}
	return out, nil
}

// touching keeps the findings whose subject or flows touch one of the namespaces.
func touching(s *snap.Snapshot, fs []diag.Finding, only []string) []diag.Finding {
	names := map[string]bool{}
	for _, id := range only {
		names[id] = true
		if c := s.Container(id); c != nil {
			names[c.Name] = true
		}
		if ns := s.Ns(id); ns != nil {
			for _, ref := range ns.Containers {
				names[ref] = true
				if c := s.Container(ref); c != nil {
					names[c.Name] = true
				}
			}
		}
	}
	var out []diag.Finding
	for i := range fs {
		f := &fs[i]
		hit := names[f.Subject.Netns] || names[f.Subject.Name]
		for _, fl := range f.Flows {
			hit = hit || names[fl.From] || names[fl.To] || names[before(fl.To)]
		}
		for _, e := range f.Evidence {
			hit = hit || names[e.Ref.Netns()]
		}
		if hit {
			out = append(out, *f)
		}
	}
	return out
}

// before is a destination without its port.
func before(to string) string {
	for i := range len(to) {
		if to[i] == ':' || to[i] == '/' {
			return to[:i]
		}
	}
	return to
}

// unmet says that a flow hangs on a bpf program that was not read, of a control
// group in which no probe of this program is.
func unmet(in *diag.Input, f *diag.FlowCase) bool {
	return f.Trace != nil && f.Trace.Verdict == sim.Unknown && in.Spared(f)
}

// undecided says whether something that could not be read decides: a flow or a
// name that hangs on it, or a host or engine that was not seen at all.
func undecided(in *diag.Input) bool {
	for i := range in.Flows {
		f := &in.Flows[i]
		if t := f.Trace; unmet(in, f) || t != nil && t.Verdict == sim.Unknown && t.Where != nil && t.Where.Cause == sim.CauseUnread && in.Prove(f) == nil {
			return true
		}
	}
	for _, g := range in.Snap.Gaps {
		if decisive(in.Snap, g) {
			return true
		}
	}
	return in.Snap.HostNs() == nil
}

// decisive says whether a gap hides so much that "healthy" can't be said: a
// permission or a deadline kept whole rule sets, routes, links or an engine's
// containers from being read.
func decisive(s *snap.Snapshot, g snap.Gap) bool {
	switch g.Kind {
	case "permission", "timeout", "torn":
	default:
		// Docker that somebody asked for by its address and that can't be read at
		// all, not even from its files; or that answers, and has its containers where
		// they can't be seen from here.
		return (g.What == "docker" || g.What == "docker containers") && slices.ContainsFunc(s.Engines, func(e snap.Engine) bool {
			return e.Name == "docker" && (e.Remote || !e.Reachable && !e.Offline)
		})
	}
	if g.Netns != "" {
		if ns := s.Ns(g.Netns); ns != nil && !ns.Class.Ours() {
			return false
		}
	}
	switch g.What {
	case "links", "addrs", "routes", "rules", "ruleset", "netns", "namespace", "namespaces", "docker", "podman", "containerd", "docker containers", "podman containers":
		return true
	}
	return false
}

// checked lists flows and names: all, or those that are not right.
func checked(in *diag.Input, all bool) []v1.Checked {
	var out []v1.Checked
	for i := range in.Flows {
		f := &in.Flows[i]
		c := v1.Checked{Kind: "flow", Why: f.Kind, From: f.From, To: f.To, Proved: diag.ProbeSays(f.Probe)}
		if f.Trace != nil {
			c.Predicted = flowOutcome(f)
		}
		if all || c.Predicted != string(sim.Delivered) && c.Proved != "delivered" && (f.Trace == nil || f.Trace.IfAnswered != sim.Delivered) {
			out = append(out, c)
		}
	}
	for i := range in.Forbidden {
		f := &in.Forbidden[i]
		if hole := f.GetsIn(); all || hole {
			c := v1.Checked{Kind: "flow", Why: "must-not", From: f.From, To: f.To, Proved: diag.ProbeSays(f.Probe), Predicted: string(f.Trace.Verdict)}
			out = append(out, c)
		}
	}
	for i := range in.Names {
		n := &in.Names[i]
		c := v1.Checked{Kind: "name", Why: "resolves", From: n.From, To: n.Ask.Name}
		if n.Path != nil {
			c.Predicted = string(n.Path.Verdict)
		}
		if n.World && n.Path != nil && n.Path.Verdict == names.Unknown && slices.ContainsFunc(n.Path.Servers, func(s names.Server) bool { return s.Probe != nil && s.Probe.Outcome == snap.Answered }) {
			c.To, c.Predicted = "names of the world", "a server answers" // none of them is asked for
		}
		if all || n.Path != nil && n.Path.Problem != nil && n.Path.Verdict != names.Resolved {
			out = append(out, c)
		}
	}
	return out
}

// openWays counts the ways of which neither the model nor a probe says whether they work:
// those to one place are one, and none where any of them works, or surely does not.
func openWays(in *diag.Input) int {
	open := map[string]bool{}
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Kind == "tried" || f.Kind == "twin" || f.Trace == nil {
			continue
		}
		key := f.Kind + "|" + f.To
		if f.Kind != "published" && f.Kind != "ingress" { // whose senders stand for each other
			key += "|" + f.From
		}
		was, seen := open[key]
		open[key] = (was || !seen) && f.Trace.Verdict == sim.Unknown && !f.Works() && !f.Broken() && diag.ProbeSays(f.Probe) == ""
	}
	n := 0
	for _, unknown := range open {
		if unknown {
			n++
		}
	}
	return n
}

// AnyFailing says whether one of the findings is at or above the bar; "" is error.
func AnyFailing(fs []v1.Finding, bar diag.Severity) bool {
	bar = cmp.Or(bar, diag.Error)
	return slices.ContainsFunc(fs, func(f v1.Finding) bool { return diag.Severity(f.Severity).Rank() >= bar.Rank() })
}
