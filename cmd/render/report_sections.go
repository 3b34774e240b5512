package render

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// find is the attribute that the page's filter looks through.
func find(words ...string) html.Attribute {
	return at("data-find", strings.ToLower(strings.Join(words, " ")))
}

// folded is a block that a click opens; open says whether it begins so.
func folded(open bool, parts ...any) *html.Node {
	if open {
		parts = append([]any{at("open", "")}, parts...)
	}
	return el("details", parts...)
}

// orQuiet is the list, or a sentence where it is empty.
func orQuiet(list []*html.Node, text string) []*html.Node {
	if len(list) == 0 {
		return []*html.Node{quiet(text)}
	}
	return list
}

func findingsSection(list []v1.Finding) *html.Node {
	return section("findings", "Findings", orQuiet(each(list, findingArticle), "Nothing is wrong with what could be read."))
}

// findingArticle is a finding, folded unless it is the one to repair first.
func findingArticle(i int, f *v1.Finding) *html.Node {
	return folded(i == 0, class("finding "+f.Severity), at("id", "f-"+strconv.Itoa(i)), find(f.Code, f.Summary, f.Subject.Name, f.Subject.Netns),
		el("summary", el("h3", el("span", class("badge"), verdictSign(f.Severity)+" "+f.Severity), " ", el("code", f.Code), " "+f.Summary)),
		when(f.Cause != "", func() *html.Node { return el("p", class("cause"), f.Cause) }),
		when(len(f.Evidence) > 0, func() *html.Node {
			head := fmt.Sprintf("Evidence (%d)", len(f.Evidence))
			if f.Confidence != "predicted" {
				head += " · " + f.Confidence + " by a live probe"
			}
			lines := el("dl")
			for _, e := range f.Evidence {
				lines.AppendChild(el("dt", el("code", e.Source)))
				lines.AppendChild(el("dd", el("pre", e.Text)))
			}
			return folded(i == 0, el("summary", head), lines)
		}),
		when(len(f.Flows) > 0, func() *html.Node {
			return folded(false, el("summary", fmt.Sprintf("What suffers (%d)", len(f.Flows))),
				el("ul", each(f.Flows, func(_ int, l *v1.FlowRef) *html.Node { return el("li", l.From+" → "+l.To) })))
		}),
		when(len(f.Hidden) > 0, func() *html.Node {
			return folded(false, el("summary", fmt.Sprintf("Consequences (%d)", len(f.Hidden))),
				el("ul", each(f.Hidden, func(_ int, h *v1.Hidden) *html.Node {
					return el("li", el("code", h.Code), " "+consequence(h))
				})))
		}),
		when(f.Fix != nil, func() *html.Node { return fixBlock(f.Fix) }),
		when(f.Advice != "", func() *html.Node { return el("p", class("advice"), el("strong", advised(f)), " "+f.Advice) }))
}

// advised is what advice is called: beside a fix it is what else there is to know.
func advised(f *v1.Finding) string {
	if f.Fix != nil {
		return "Note"
	}
	return "Do"
}

func fixBlock(f *v1.Fix) *html.Node {
	undo := ""
	if f.Reversible {
		undo = "can be undone"
	}
	risk := diag.Joined(", ", f.Risk+" risk", undo, lasting(f.Survives))
	return el("div", class("fix"),
		el("p", el("strong", "Fix"), " ", el("code", "netdoctor fix "+f.ID), " ", el("span", class("risk"), risk)),
		el("pre", strings.Join(f.Commands, "\n")+"\n"),
		when(f.Durable != "", func() *html.Node { return el("p", "To make it last: "+f.Durable) }))
}

func mapSection(m *v1.MapResult) *html.Node {
	var picture strings.Builder
	drawMap(&picture, m, false)
	button := func(what, text string, more ...any) *html.Node {
		return el("button", append([]any{at("type", "button"), at("data-map", what), text}, more...)...)
	}
	return section("map", "Map",
		el("div", class("tools"), at("hidden", ""),
			button("in", "+", at("aria-label", "zoom in")), " ", button("out", "−", at("aria-label", "zoom out")), " ", button("fit", "whole map"), " ", button("fold", "collapse networks"), " ",
			el("span", class("hint"), "drag or arrow keys move, + and − zoom, a click on a network's head folds it")),
		el("div", at("id", "stage"), at("tabindex", "0"), at("role", "group"), at("aria-label", "map; arrow keys move it, plus and minus zoom"), verbatim(picture.String())))
}

func pathsSection(list []v1.TraceResult) *html.Node {
	return section("paths", "Paths", orQuiet(each(list, pathBlock), "Every path that must work does."))
}

func pathBlock(i int, t *v1.TraceResult) *html.Node {
	way := " " + t.From.Target + " " + t.From.Address + " → " + t.To.Target
	if t.To.Address != "" && !strings.Contains(t.To.Target, t.To.Address) {
		way += " " + t.To.Address
	}
	summary := el("summary", el("span", class("badge"), t.Verdict), way)
	if t.Where != nil {
		why(summary, t.Where.Detail)
	}
	line := el("ol", class("line"), each(t.Forward, hopItem))
	if len(t.Reply) > 0 {
		line.AppendChild(el("li", class("turn"), "the answer comes back"))
		for i := range t.Reply {
			line.AppendChild(hopItem(i, &t.Reply[i]))
		}
	}
	return folded(i == 0, class("path "+t.Verdict), find(t.From.Target, t.To.Target, t.From.Address, t.To.Address), summary,
		when(t.Proved != nil, func() *html.Node {
			text := "Proved: " + t.Proved.Verdict
			if t.Proved.Detail != "" {
				text += ", " + t.Proved.Detail
			}
			return el("p", text)
		}), line)
}

// why puts the reason at the end of a block's head.
func why(summary *html.Node, detail string) {
	summary.AppendChild(&html.Node{Type: html.TextNode, Data: " "})
	summary.AppendChild(el("span", class("why"), detail))
}

func hopItem(_ int, h *v1.Hop) *html.Node {
	li := el("li", class(h.Verdict), el("b", h.Netns), " ")
	if h.Device != "" {
		li.AppendChild(el("code", h.Device))
	}
	for _, n := range []*html.Node{el("i", h.Stage), el("span", h.Did)} {
		li.AppendChild(&html.Node{Type: html.TextNode, Data: " "})
		li.AppendChild(n)
	}
	if h.Rule != "" {
		li.AppendChild(el("pre", h.Rule))
	}
	return li
}

func namesSection(list []v1.DNSResult) *html.Node {
	return section("names", "Names", orQuiet(each(list, nameBlock), "Every name that must resolve does."))
}

func nameBlock(_ int, d *v1.DNSResult) *html.Node {
	summary := el("summary", el("span", class("badge"), d.Verdict), " "+d.From.Target+" asks "+d.Name+" "+d.Type)
	if d.Problem != nil {
		why(summary, d.Problem.Detail)
	}
	return folded(false, class("path "+d.Verdict), find(d.Name, d.From.Target), summary,
		el("ol", class("line"), each(d.Steps, func(_ int, s *v1.DNSStep) *html.Node {
			li := el("li", class(s.Verdict), el("b", s.Where), " ", el("code", s.Asked), " ", el("span", s.Answer))
			if s.DurationMs != 0 {
				li.AppendChild(&html.Node{Type: html.TextNode, Data: " "})
				li.AppendChild(el("i", fmt.Sprintf("%.1f ms", s.DurationMs)))
			}
			return li
		})))
}

func rulesSection(list []v1.RuleTable) *html.Node {
	return section("rules", "Rules", orQuiet(each(list, func(_ int, t *v1.RuleTable) *html.Node {
		return folded(marked(t), class("table"), el("summary", el("b", t.Netns), " "+t.System+" "+t.Family+" ", el("code", t.Name)), each(t.Chains, chainBlock))
	}), "No firewall rule was read."))
}

func chainBlock(_ int, c *v1.RuleChain) *html.Node {
	head := []any{el("code", c.Name)}
	if c.Hook != "" {
		head = append(head, " hook "+c.Hook)
	}
	if c.Policy != "" {
		head = append(head, " policy ", el("span", class("policy "+c.Policy), c.Policy))
	}
	return el("div", class("chain"), el("h4", append(head, decides(c.Decides))...),
		when(len(c.Rules) > 0, func() *html.Node {
			return el("table", el("tbody", each(c.Rules, func(_ int, r *v1.RuleLine) *html.Node {
				row := el("tr", find(r.Text),
					el("td", class("n"), strconv.Itoa(r.Num)), el("td", class("n"), counted(r.Packets)),
					el("td", el("code", r.Text), decides(r.Decides)))
				if len(r.Decides) > 0 {
					row.Attr = append(row.Attr, class("decides"))
				}
				return row
			})))
		}))
}

// decides marks a rule with the findings that rest on it.
func decides(codes []string) []*html.Node {
	var out []*html.Node
	for _, c := range codes {
		out = append(out, &html.Node{Type: html.TextNode, Data: " "}, el("span", class("mark"), c))
	}
	return out
}

// marked says whether a finding rests on the table.
func marked(t *v1.RuleTable) bool {
	for i := range t.Chains {
		if len(t.Chains[i].Decides) > 0 {
			return true
		}
		for j := range t.Chains[i].Rules {
			if len(t.Chains[i].Rules[j].Decides) > 0 {
				return true
			}
		}
	}
	return false
}

// counted is a counter; nothing where there is none.
func counted(n int64) string {
	if n < 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func coverageSection(p *v1.Page) *html.Node {
	ran := fmt.Sprintf("%d checks ran.", len(p.Check.Coverage.Ran))
	for _, l := range p.Left {
		ran += " Not on this page: " + l + "."
	}
	return section("coverage", "Coverage", el("p", ran),
		when(len(p.Check.Coverage.Skipped) > 0, func() *html.Node {
			return el("ul", each(p.Check.Coverage.Skipped, func(_ int, s *v1.Skip) *html.Node {
				text := s.Check
				if s.Netns != "" {
					text += " of " + s.Netns
				}
				text += ": " + s.Reason
				if s.Needs != "" {
					text += " (needs: " + s.Needs + ")"
				}
				return el("li", text)
			}))
		}),
		when(len(p.Check.Sent) > 0, func() *html.Node {
			return folded(false, el("summary", fmt.Sprintf("Packets that were sent (%d)", len(p.Check.Sent))),
				el("table", el("tbody", each(p.Check.Sent, func(_ int, s *v1.Sent) *html.Node {
					return el("tr", el("td", s.Kind), el("td", s.From), el("td", el("code", strings.TrimSpace(s.Dst+" "+s.Question))), el("td", s.Outcome), el("td", s.Detail))
				}))))
		}))
}
