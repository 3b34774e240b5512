package app

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// tail makes coverage and findings of a report. Readers' gaps count as skipped.
func tail(s *snap.Snapshot, r diag.Report) v1.Tail {
	t := v1.Tail{Findings: findings(s, r.Findings)}
	for _, c := range r.Ran {
		t.Coverage.Ran = append(t.Coverage.Ran, string(c))
	}
	for _, k := range r.Skipped {
		t.Coverage.Skipped = append(t.Coverage.Skipped, v1.Skip{Check: string(k.Code), Reason: k.Reason, Needs: k.Needs})
	}
	if s != nil {
		t.Coverage.Skipped = append(t.Coverage.Skipped, gaps(s)...)
	}
	return t
}

// gaps are what could not be read, and who could not watch the probes.
func gaps(s *snap.Snapshot) []v1.Skip {
	var out []v1.Skip
	for _, g := range s.Gaps {
		out = append(out, v1.Skip{Check: g.What, Reason: g.Why, Needs: g.Needs, Netns: g.Netns})
	}
	for _, o := range s.Observers {
		if !o.Have && !o.Spared {
			out = append(out, v1.Skip{Check: o.Name, Reason: o.Why, Needs: o.Needs})
		}
	}
	return out
}

// findings turns findings into their JSON form; fix IDs are unique.
func findings(s *snap.Snapshot, fs []diag.Finding) []v1.Finding {
	out := make([]v1.Finding, 0, len(fs))
	ids := fixIDs(fs)
	for i := range fs {
		f := &fs[i]
		v := v1.Finding{
			Code: string(f.Code), Name: f.Name, Severity: string(f.Severity), Summary: f.Summary, Cause: f.Cause,
			Subject:    v1.Subject{Kind: f.Subject.Kind, Name: f.Subject.Name, Netns: f.Subject.Netns},
			Confidence: string(f.Confidence), Unproved: f.Unproved, Behind: f.Behind, Advice: f.Advice,
		}
		if v.Confidence == "" {
			v.Confidence = string(diag.Predicted)
		}
		for _, fl := range f.Flows {
			v.Flows = append(v.Flows, v1.FlowRef{From: fl.From, To: fl.To})
		}
		for _, e := range f.Evidence {
			v.Evidence = append(v.Evidence, v1.Evidence{Source: e.Source, Text: e.Text, Ref: string(e.Ref)})
		}
		for _, h := range f.Hides {
			v.Hides = append(v.Hides, string(h.Code))
			v.Hidden = append(v.Hidden, v1.Hidden{Code: string(h.Code), Count: h.Count, Summary: h.Summary})
		}
		if f.Fix != nil && len(f.Fix.Ops) > 0 {
			v.Fix = fix(s, ids[i], f.Fix)
		}
		out = append(out, v)
	}
	return out
}

// fixIDs names each finding's fix: its code, and its number when several
// findings have that code.
func fixIDs(fs []diag.Finding) []string {
	count, seen := map[diag.Code]int{}, map[diag.Code]int{}
	for i := range fs {
		count[fs[i].Code]++
	}
	out := make([]string, len(fs))
	for i := range fs {
		c := fs[i].Code
		seen[c]++
		out[i] = string(c)
		if count[c] > 1 {
			out[i] = fmt.Sprintf("%s.%d", c, seen[c])
		}
	}
	return out
}

func fix(s *snap.Snapshot, id string, f *diag.Fix) *v1.Fix {
	v := &v1.Fix{ID: id, Risk: string(f.Risk()), Reversible: true, Survives: f.Survives, Durable: f.Durable}
	for _, op := range f.Ops {
		v.Commands = append(v.Commands, op.Shell()...)
		if _, err := op.Inverse(s); err != nil {
			v.Reversible = false
		}
	}
	return v
}

// sent turns probes into their JSON form.
func sent(ps []snap.Probe) []v1.Sent {
	out := make([]v1.Sent, 0, len(ps))
	for i := range ps {
		p := &ps[i]
		v := v1.Sent{
			Kind: p.Kind, From: p.From, Src: addrPort(p.Src), Dst: addrPort(p.Dst), Outcome: p.Outcome, Detail: p.Detail,
			Packets: p.Sent, Answers: p.Got, RTTMs: p.RTTMs,
		}
		if p.Errno != "" && v.Detail == "" {
			v.Detail = p.Errno
		}
		if p.DNS != nil {
			v.Question = p.DNS.Name + " " + p.DNS.Type
			if v.Detail == "" {
				v.Detail = strings.TrimSpace(p.DNS.RCode + " " + strings.Join(p.DNS.Answers, ", "))
			}
		}
		for _, x := range p.Seen {
			v.Seen = append(v.Seen, v1.Sighting{
				What: x.What, Netns: x.Netns, Device: x.Device, Src: addrPort(x.Src), Dst: addrPort(x.Dst), Answer: x.Answer, Error: x.ICMP != nil,
				Reason: x.Reason, Func: x.Func, Times: max(x.Times, 1), AfterMs: x.AfterMs,
			})
		}
		out = append(out, v)
	}
	return out
}

// observers says who watched the probes.
func observers(s *snap.Snapshot) []v1.Observer {
	out := make([]v1.Observer, 0, len(s.Observers))
	for _, o := range s.Observers {
		out = append(out, v1.Observer{Name: o.Name, Have: o.Have, Why: o.Why, Needs: o.Needs, Spared: o.Spared})
	}
	return out
}

// addrPort prints an address, with its port if it has one; "" for none.
func addrPort(a netip.AddrPort) string {
	switch {
	case !a.Addr().IsValid():
		return ""
	case a.Port() == 0:
		return a.Addr().String()
	}
	return a.String()
}

// hops numbers and converts hops, beginning behind n. p is the probe that went
// the same way, nil for none; answer says which of its ways.
func hops(hs []sim.Hop, n int, p *snap.Probe, answer bool) []v1.Hop {
	out := make([]v1.Hop, 0, len(hs))
	seen := wire(hs, p, answer)
	for i := range hs {
		h := &hs[i]
		v := v1.Hop{
			N: n + i + 1, Netns: h.Netns, Device: h.Device, Stage: h.Stage, Did: h.Did, Verdict: h.Verdict, Rule: h.Rule,
			Packet: v1.Packet{Src: addrPort(h.Src), Dst: addrPort(h.Dst), Proto: string(h.Proto)},
		}
		v.Wire = seen[i]
		for _, r := range h.Because {
			v.Because = append(v.Because, string(r))
		}
		out = append(out, v)
	}
	return out
}

// where converts the place that decided; nil for none.
func where(s *snap.Snapshot, w *sim.Where) *v1.Where {
	if w == nil {
		return nil
	}
	v := &v1.Where{
		Netns: w.Netns, Device: w.Device, Layer: w.Layer, Reason: w.Reason, Cause: string(w.Cause), Detail: w.Detail,
		Reply: w.Reply, Ref: string(w.Ref),
	}
	if p := w.Rule; p != nil {
		v.System, v.Family, v.Table, v.Chain, v.Num = string(p.System), string(p.Family), p.Table, p.Chain, p.Num
		if p.System != snap.IPTablesLegacy && p.System != snap.EBTablesLegacy {
			v.Handle = p.Handle
		}
		switch ns := s.Ns(w.Netns); {
		case p.Policy && p.ChainP != nil:
			v.Rule, v.Handle = "policy "+p.ChainP.Policy, 0
		case p.Rule != nil && ns != nil && p.TableP != nil && p.ChainP != nil:
			v.Rule = firewall.RuleText(ns, p.TableP, p.ChainP, p.Rule)
		}
	}
	return v
}

// wire says, hop by hop, what was seen of a probe that went the same way:
// "seen" on a device that it crossed, "died" where it ended, "not seen" behind
// the last of these when no answer came, "" where that can't be told: nobody watched,
// or the packet passes a stage without being given to its device.
func wire(hs []sim.Hop, p *snap.Probe, answer bool) []string {
	out := make([]string, len(hs))
	if p == nil || !p.Watched {
		return out
	}
	last := -1
	for i := range hs {
		h := &hs[i]
		d := p.Died
		switch {
		case d != nil && d.Answer == answer && d.Netns == h.Netns && (h.Verdict == "drop" || h.Verdict == "reject"):
			out[i], last = "died", i
		case slices.ContainsFunc(p.Seen, func(x snap.Seen) bool {
			return x.Answer == answer && x.ICMP == nil && x.What != snap.SeenDrop && x.Device != "" && x.Netns == h.Netns && x.Device == h.Device
		}):
			out[i], last = "seen", i
		}
	}
	for i := last + 1; i < len(hs) && p.Outcome != snap.Answered; i++ {
		if hs[i].Device != "" {
			out[i] = "not seen"
		}
	}
	return out
}
