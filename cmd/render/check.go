package render

import (
	"fmt"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// check is the screen of a check-up: quiet when healthy.
func (p *printer) check(r *v1.CheckResult, wide bool) {
	if !p.st.Quiet {
		p.ends([]span{in(bold, "host"), s("   " + hostLine(r.Host, &r.Summary))}, in(dim, seconds(r.DurationMs)))
		if r.Host.Snapshot != "" {
			p.line(in(dim, "       from "+r.Host.Snapshot+", read "+r.Host.ReadAt))
		}
		p.line()
	}
	p.findings(r.Findings, wide)
	if p.st.Quiet {
		return
	}
	if len(r.Findings) > 0 {
		p.line()
	}
	if p.st.Verbose || wide {
		p.checked(r.Checked)
		p.sent(r.Sent)
	}
	p.skipped(r.Coverage.Skipped, p.st.Verbose || wide)
	sum := total(r)
	if p.briefly(r.Findings, wide) {
		sum += " · -v says more"
	}
	p.ends([]span{s(sum)}, in(dim, fmt.Sprintf("exit %d", p.st.Exit)))
}

// hostLine is the host in one line.
func hostLine(h v1.HostInfo, sum *v1.Summary) string {
	var parts []string
	for _, e := range h.Engines {
		if e.Name == "netdoctor" {
			parts = append(parts, "set up by netdoctor")
			continue
		}
		t := engineName(e.Name)
		if e.Version != "" {
			t += " " + e.Version
		}
		switch {
		case e.Remote:
			t += " (its containers are out of sight)"
		case !e.Reachable && (strings.Contains(e.Error, "permission denied") || strings.Contains(e.Error, "closed to this user")):
			t += " (closed to this user)"
		case !e.Reachable:
			t += " (does not answer)"
		case e.Rules != "":
			t += " (" + rulesBy(e.Rules) + ")"
		}
		parts = append(parts, t)
	}
	if len(parts) == 0 {
		parts = append(parts, "no container engine")
	}
	if sum != nil {
		parts = append(parts, diag.Count(sum.Networks, "network"), diag.Count(sum.Containers, "container"))
	}
	return strings.Join(parts, " · ")
}

// rulesBy is what an engine writes its rules with: which of its generations does so
// is for machines (-o json).
func rulesBy(rules string) string {
	switch rules {
	case "docker-20", "docker-28", "netavark-iptables":
		return "iptables"
	case "docker-nft", "netavark-nft":
		return "nftables"
	}
	return rules
}

// total is the last line.
func total(r *v1.CheckResult) string {
	var parts []string
	var bad []string
	for _, c := range []struct {
		n    int
		what string
	}{{r.Summary.Errors, "error"}, {r.Summary.Warnings, "warning"}, {r.Summary.Infos, "remark"}} {
		if c.n > 0 {
			bad = append(bad, diag.Count(c.n, c.what))
		}
	}
	if r.Verdict != "problems" || len(bad) == 0 {
		why := "not everything could be read"
		if len(r.Targets) > 0 && r.Summary.Passed == 0 {
			why = "nothing of it could be tested"
		}
		parts = append(parts, strings.Replace(r.Verdict, "unknown", "unknown: "+why, 1))
	}
	if len(bad) > 0 {
		parts = append(parts, strings.Join(bad, ", "))
	}
	parts = append(parts, fmt.Sprintf("%d passed", r.Summary.Passed))
	if n := r.Summary.Unknown; n > 0 && r.Verdict == "healthy" {
		parts = append(parts, diag.Count(n, "way")+" not known (-v)")
	}
	if r.Summary.Skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d skipped", r.Summary.Skipped))
	}
	return strings.Join(parts, " · ")
}

// skipped names what could not be done: the first few, or all.
func (p *printer) skipped(all []v1.Skip, every bool) {
	for i, k := range all {
		if i == 3 && !every {
			p.line(in(dim, fmt.Sprintf("? and %d more that could not be read: -v", len(all)-i)))
			return
		}
		t := k.Check
		if k.Netns != "" {
			t += " of " + k.Netns
		}
		t += ": " + k.Reason
		if k.Needs != "" {
			word := "needs: "
			if strings.HasPrefix(k.Needs, "run ") || strings.HasPrefix(k.Needs, "give ") { // a sentence of its own
				word = ""
			}
			t += " (" + word + k.Needs + ")"
		}
		p.labelledSkip(t)
	}
}

func (p *printer) labelledSkip(t string) {
	for i, part := range p.wrap(t, 2) {
		if i == 0 {
			p.line(in(yellow, "? "), s(part))
		} else {
			p.line(s("  "), s(part))
		}
	}
}

// checked lists what was looked at.
func (p *printer) checked(all []v1.Checked) {
	if len(all) == 0 {
		return
	}
	var rows [][]span
	for _, c := range all {
		result := verdict(c.Predicted)
		switch c.Proved {
		case "":
		case c.Predicted:
			result.text += ", proved"
		default:
			result = verdict(c.Proved)
			result.text = "predicted " + c.Predicted + ", seen " + c.Proved
		}
		rows = append(rows, []span{s(c.Why), result, s(c.From + " → " + c.To)})
	}
	p.table(" ", []string{"checked", "result", "way"}, rows)
	p.line()
}

// sent lists the packets that were sent; what was sent again with the same end is one line.
func (p *printer) sent(all []v1.Sent) {
	if len(all) == 0 {
		return
	}
	var rows [][]span
	line, times := map[[5]string]int{}, []int{}
	for _, q := range all {
		k := [5]string{q.Kind, q.From, strings.TrimSpace(q.Dst + " " + q.Question), q.Outcome, q.Detail}
		i, ok := line[k]
		if !ok {
			i = len(rows)
			line[k], times = i, append(times, 0)
			rows = append(rows, []span{s(k[0]), s(k[1]), s(k[2]), s(k[3]), s(k[4])})
		}
		if times[i]++; times[i] > 1 {
			rows[i][0] = s(fmt.Sprintf("%s ×%d", q.Kind, times[i]))
		}
	}
	p.line()
	p.table(" ", []string{"sent", "from", "to", "outcome", "detail"}, rows)
	p.line()
}

// verdict paints a verdict's word.
func verdict(v string) span {
	switch v {
	case "delivered", "resolved", "ok", "healthy":
		return in(green, v)
	case "dropped", "refused", "drop", "reject", "fail":
		return in(red, v)
	case "unknown":
		return in(yellow, v)
	}
	return s(v)
}

func seconds(ms float64) string {
	if ms < 100 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// engineName is an engine's name as its makers write it.
func engineName(name string) string {
	switch name {
	case "cni":
		return "CNI"
	case "containerd":
		return name
	}
	return upper(name)
}
