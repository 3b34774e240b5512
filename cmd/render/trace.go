package render

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// trace is the screen of one flow.
func (p *printer) trace(r *v1.TraceResult, wide bool) {
	p.flow = flowFlag(r.From.Target, r.To.Target)
	defer func() { p.flow = "" }()
	p.ends([]span{in(bold, endpoints(r))}, in(paintOf(r.Verdict), p.banner(r)))
	if p.st.Quiet {
		p.findings(r.Findings, wide)
		return
	}
	p.line()
	hops := [][]v1.Hop{r.Forward}
	if wide || p.st.Verbose || r.Where != nil && r.Where.Reply {
		hops = append(hops, r.Reply)
	}
	head, rows := p.hops(hops, wide, r.Verdict == "delivered" || r.Verdict == "unknown")
	if len(rows) > 0 {
		p.table("", head, rows)
		p.line()
	}
	if n := len(r.Reply); n > 0 && len(hops) == 1 && r.Verdict == "delivered" {
		p.labelled("", "back", s(fmt.Sprintf("the answer comes back over %s (-v shows them)", diag.Count(n, "stage"))))
	}
	p.said(r, wide)
	if r.WhatIf != nil {
		p.whatIf(r)
	}
	if len(r.Findings) > 0 {
		p.line()
	}
	p.findings(r.Findings, wide)
	p.skipped(r.Coverage.Skipped, p.st.Verbose || wide)
	if wide || p.st.Verbose {
		p.sent(r.Sent)
		p.ruleHits(r.Rules)
	}
}

// whatIf is what was tried on the model, and what else it does.
func (p *printer) whatIf(r *v1.TraceResult) {
	for _, c := range r.WhatIf.Changes {
		for _, l := range c.Do {
			p.labelled("", "what if", in(cyan, l))
		}
	}
	before := r.WhatIf.Before.Verdict
	if d := r.WhatIf.Before.Detail; d != "" {
		before += ": " + d
	}
	p.labelled("", "before", s(before))
	p.others(&r.WhatIf.Others)
}

// plainWord is what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.:/\[\]][A-Za-z0-9_.:/\[\]-]*$`)

// flowFlag tells fix of the flow; nothing where its words would need quotes.
func flowFlag(from, to string) string {
	if !plainWord.MatchString(from) || !plainWord.MatchString(to) {
		return ""
	}
	return fmt.Sprintf(` --flow "%s %s"`, from, to)
}

// said is what model and wire say, and why.
func (p *printer) said(r *v1.TraceResult, wide bool) {
	if r.Where != nil && r.Where.Detail != "" {
		label := "why"
		if len(r.Findings) > 0 { // they say why; this is the place
			label = "where"
		}
		if r.Verdict == "unknown" && len(r.Branches) > 1 { // one of several ways
			label = "perhaps"
		}
		p.labelled("", label, s(r.Where.Detail))
	}
	if r.Where != nil && r.Where.Rule != "" && !told(r) {
		p.labelled("", "rule", s(placeOf(r.Where)+": "+r.Where.Rule))
	}
	if r.Name != nil {
		p.labelled("", "name", s(strings.TrimSuffix(fmt.Sprintf("%s: %s, %s", r.Name.Name, r.Name.Verdict, strings.Join(r.Name.Answers, ", ")), ", ")))
	}
	if k := r.StandIn; k != nil {
		p.labelled("", "stand-in", s("netdoctor answered in place of the application, in "+k.Netns+" at "+k.Address))
	}
	switch {
	case r.Proved != nil:
		p.labelled("", "proof", s(r.Proved.Verdict+": "+r.Proved.Detail))
		if r.Predicted != nil && r.Predicted.Verdict != r.Proved.Verdict {
			t := "the model says " + r.Predicted.Verdict
			if r.Predicted.Detail != "" {
				t += ": " + r.Predicted.Detail
			}
			p.labelled("", "model", s(t))
		}
	case r.Unproved != "":
		p.labelled("", "proof", in(dim, "none; "+r.Unproved))
	case r.Name != nil && r.Name.Verdict != "resolved":
		p.labelled("", "proof", in(dim, "none; without an address nothing can be sent"))
	default:
		p.labelled("", "proof", in(dim, "none was sent that tells; this is predicted"))
	}
	p.size(r.PathMTU, wide)
	for _, u := range r.Unknown {
		if (r.Where == nil || u != r.Where.Detail) && (r.Proved == nil || r.Predicted == nil || u != r.Predicted.Detail) {
			p.labelled("", "unknown", s(u))
		}
	}
	if r.Verdict == "delivered" && len(r.Findings) > 0 && r.Findings[0].Severity == "error" {
		p.labelled("", "but", in(yellow, "the packet that was tried gets there, and that is not all that such a connection needs: see "+r.Findings[0].Code))
	}
	if wide {
		for _, c := range r.Tracked {
			p.labelled("", "tracked", s(c.Netns+": "+c.Text))
		}
	}
	if wide || r.Verdict == "unknown" {
		for _, b := range r.Branches {
			p.labelled("", "if", s(strings.Join(b.Assumed, " and ")+": "+b.Verdict))
		}
	}
}

// told says whether the deciding rule stands in one of the hops.
func told(r *v1.TraceResult) bool {
	for _, list := range [][]v1.Hop{r.Forward, r.Reply} {
		for i := range list {
			if list[i].Rule == r.Where.Rule || strings.Contains(list[i].Did, r.Where.Rule) {
				return true
			}
		}
	}
	return false
}

// placeOf is where a rule stands.
func placeOf(w *v1.Where) string {
	t := strings.TrimSpace(w.Family + " " + w.Table + " " + w.Chain)
	if w.Num > 0 {
		t += fmt.Sprintf(" rule %d", w.Num)
	}
	return t
}

// size is the largest packet that the way carries, where that is news.
func (p *printer) size(m *v1.PathMTU, wide bool) {
	switch {
	case m == nil:
	case m.FitsBytes == 0:
		p.labelled("", "size", in(dim, "the largest packet was not measured: "+m.Why))
	case m.TooBigBytes == 0:
		if wide || p.st.Verbose {
			p.labelled("", "size", s(fmt.Sprintf("packets of %d bytes pass, as large as the sender's device sends", m.FitsBytes)))
		}
	default:
		t := fmt.Sprintf("packets of up to %d bytes pass, the sender's device sends %d; ", m.FitsBytes, m.DeviceBytes)
		if m.ToldBytes > 0 {
			t += fmt.Sprintf("%s tells it so", m.ToldBy)
		} else {
			t += "larger ones vanish, and nobody tells it"
		}
		p.labelled("", "size", s(t))
		if m.Option != "" {
			p.labelled("", "option", s(m.Option))
		}
	}
}

// ruleHits are the rules that the kernel's own trace names.
func (p *printer) ruleHits(all []v1.RuleHit) {
	if len(all) == 0 {
		return
	}
	var rows [][]span
	for i := range all {
		h := &all[i]
		place := strings.TrimSpace(h.Family + " " + h.Table + " " + h.Chain)
		switch {
		case h.Policy:
			place += " policy"
		case h.Num > 0:
			place += fmt.Sprintf(" rule %d", h.Num)
		default:
			place += fmt.Sprintf(" handle %d", h.Handle)
		}
		way := "question"
		if h.Answer {
			way = "answer"
		}
		paint := dim
		if bad(h.Verdict) {
			paint = red
		}
		rows = append(rows, []span{s(h.Netns), in(dim, way), s(place), in(paint, h.Verdict), in(dim, h.Rule)})
	}
	p.line()
	p.table(" ", []string{"netns", "packet", "met", "verdict", "rule"}, rows)
	p.line()
}

// endpoints are sender and destination in one line.
func endpoints(r *v1.TraceResult) string {
	side := func(e v1.Endpoint, port bool) string {
		t := e.Target
		a := e.Address
		if a != "" && port && e.Port != 0 {
			if strings.Contains(a, ":") {
				a = "[" + a + "]"
			}
			a += fmt.Sprintf(":%d", e.Port)
		}
		if port && r.Proto != "" && a != "" {
			a += "/" + r.Proto
		}
		if a == "" || bare(t) == bare(e.Address) {
			if a == "" {
				return t
			}
			return a
		}
		return name(t) + " " + a
	}
	if r.To.Target == "" && r.From.Target == "" {
		return "no flow"
	}
	return side(r.From, false) + " → " + side(r.To, true)
}

// bare is an address without its port, protocol and brackets.
func bare(t string) string {
	if strings.HasPrefix(t, "[") {
		if i := strings.IndexByte(t, ']'); i > 0 {
			return t[1:i]
		}
	}
	t, _, _ = strings.Cut(t, "/")
	if strings.Count(t, ":") == 1 {
		t, _, _ = strings.Cut(t, ":")
	}
	return t
}

// name is a target without its port and protocol.
func name(t string) string {
	if i := strings.LastIndexByte(t, '/'); i > 0 {
		switch strings.ToLower(t[i+1:]) { // web/icmp, but one/web
		case "tcp", "udp", "sctp", "icmp", "icmpv6":
			t = t[:i]
		}
	}
	if i := strings.LastIndexByte(t, ':'); i > 0 && strings.Trim(t[i+1:], "0123456789") == "" && !strings.HasPrefix(t, "pid:") {
		t = t[:i]
	}
	return t
}

func (p *printer) banner(r *v1.TraceResult) string {
	v := strings.ToUpper(r.Verdict)
	if r.Verdict == "delivered" { // a place that stops some stopped nothing now
		return v
	}
	for i, h := range r.Forward {
		if bad(h.Verdict) {
			return fmt.Sprintf("%s at hop %d", v, i+1)
		}
	}
	for i, h := range r.Reply {
		if bad(h.Verdict) {
			return fmt.Sprintf("%s on the way back at hop %d", v, len(r.Forward)+i+1)
		}
	}
	return v
}

func bad(v string) bool { return v == "drop" || v == "reject" || v == "refused" || v == "dropped" }

func paintOf(v string) paint { return verdict(v).paint }

// hops are the head and the rows of the table. What was seen of a real packet
// is shown when somebody watched one. Open: whether the place that stops it does is not
// known, or it did not.
func (p *printer) hops(lists [][]v1.Hop, wide, open bool) (head []string, rows [][]span) {
	watched := slices.ContainsFunc(slices.Concat(lists...), func(h v1.Hop) bool { return h.Wire != "" })
	head = []string{" #", "netns", "device", "stage"}
	if watched {
		head = append(head, "wire")
	}
	if wide {
		head = append(head, "packet")
	}
	head = append(head, "result")
	for _, list := range lists {
		for _, h := range list {
			did := strings.Replace(h.Did, h.Stage+" rule ", "rule ", 1) // the stage stands beside it
			if h.Rule != "" && !strings.Contains(did, h.Rule) {
				did = strings.TrimSpace(did + "  " + h.Rule)
			}
			res := s(did)
			switch {
			case bad(h.Verdict) && open:
				res = in(yellow, strings.TrimSpace("may "+strings.ToUpper(h.Verdict)+"  "+did))
			case bad(h.Verdict):
				res = in(red, strings.TrimSpace(strings.ToUpper(h.Verdict)+"  "+did))
			case h.Verdict == "unknown":
				res = in(yellow, strings.TrimSpace("?  "+did))
			case h.Verdict == "delivered":
				res = in(green, did)
			}
			cells := []span{in(dim, fmt.Sprintf("%2d", h.N)), s(h.Netns), s(h.Device), s(h.Stage)}
			if watched {
				paint := dim
				if h.Wire == "died" {
					paint = red
				}
				cells = append(cells, in(paint, h.Wire))
			}
			if wide {
				cells = append(cells, in(dim, strings.TrimSpace(h.Packet.Src+" → "+h.Packet.Dst)))
			}
			rows = append(rows, append(cells, res))
		}
	}
	return head, rows
}

// traceSet is the screen of a source with all that it needs.
func (p *printer) traceSet(r *v1.TraceSetResult, wide bool) {
	if p.st.Quiet {
		p.findings(r.Findings, wide)
		return
	}
	p.ends([]span{in(bold, r.From.Target+" and what it needs")}, in(paintOf(r.Verdict), strings.ToUpper(r.Verdict)))
	p.line()
	var rows [][]span
	for i := range r.Traces {
		t := &r.Traces[i]
		sign, paint := p.st.sign(t.Verdict)
		detail := ""
		if t.Where != nil && t.Verdict != "delivered" {
			detail = t.Where.Detail
		}
		said := verdict(t.Verdict)
		if t.Proved != nil {
			said.text += ", proved"
		}
		rows = append(rows, []span{in(paint, sign), s(t.Why), said, s(t.From.Target + " → " + t.To.Target), s(detail)})
	}
	for i := range r.Names {
		d := &r.Names[i]
		sign, paint := p.st.sign(d.Verdict)
		detail := strings.Join(d.Answers, ", ")
		switch n := len(d.Steps); {
		case d.Problem != nil:
			detail = d.Problem.Detail
		case detail == "" && n > 0: // the last step says what is not known
			detail = d.Steps[n-1].Where + ": " + d.Steps[n-1].Answer
		}
		rows = append(rows, []span{in(paint, sign), s("name"), verdict(d.Verdict), s(d.From.Target + " → " + d.Name), s(detail)})
	}
	p.table("", []string{"", "what", "verdict", "way", ""}, rows)
	p.line()
	p.findings(r.Findings, wide)
}
