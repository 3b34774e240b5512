package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ReportOptions are those of report.
type ReportOptions struct {
	Common
	File  string // where to; "-" is Out
	Force bool
	Out   io.Writer
	// Flows are paths to trace and show: "SRC DST". The first is drawn on the map.
	Flows []string
	// Write writes the page.
	Write func(io.Writer, *v1.Page) error
}

// What a page holds at the most, so that it opens at once.
const (
	mostTraces = 40
	mostNames  = 40
	mostRules  = 4000
)

// Report writes one page with everything: verdict, map, findings, paths, rules.
func (a *App) Report(ctx context.Context, o ReportOptions) (*v1.ReportResult, error) {
	start := a.now()
	if o.File == "" {
		return nil, snap.Hint(Usagef("no file to write to"), "netdoctor report -o report.html, or -o - for stdout")
	}
	for _, f := range o.Flows {
		if len(strings.Fields(f)) != 2 {
			return nil, Usagef("--trace %q is no path: it takes \"SRC DST\"", f)
		}
	}
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	page, err := a.page(ctx, s, o)
	if err != nil {
		return nil, err
	}
	count := &counter{w: o.Out}
	if o.File == "-" {
		err = o.Write(count, page)
	} else {
		err = fileError(o.File, inspect.WriteNew(o.File, o.Force, func(w io.Writer) error {
			count.w = w
			return o.Write(count, page)
		}))
	}
	if err != nil {
		return nil, err
	}
	res := &v1.ReportResult{File: o.File, Bytes: count.n, Verdict: page.Check.Verdict, Tail: v1.Tail{Coverage: page.Check.Coverage}}
	rules := 0
	for i := range page.Tables {
		for j := range page.Tables[i].Chains {
			rules += len(page.Tables[i].Chains[j].Rules)
		}
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"findings", len(page.Check.Findings)}, {"things on the map", len(page.Map.Nodes)}, {"paths", len(page.Traces)}, {"names", len(page.Names)}, {"firewall rules", rules}} {
		res.Contents = append(res.Contents, v1.Fact{Name: f.name, Value: fmt.Sprint(f.n)})
	}
	res.Head = a.head(v1.KindReport, start)
	return res, nil
}

// fileError is what kept a file from being written, in a person's words.
func fileError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return snap.Hint(Usagef("%s is there already", path), "another name, or --force to replace it")
	case errors.Is(err, fs.ErrNotExist):
		return snap.Hint(Usagef("%s: there is no such directory", path), "make it first, or write elsewhere")
	case err != nil:
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// page collects what the report shows.
func (a *App) page(ctx context.Context, s *snap.Snapshot, o ReportOptions) (*v1.Page, error) {
	start := a.now()
	ex, err := a.examine(ctx, s, nil, diag.Options{}, o.Common)
	if err != nil {
		return nil, err
	}
	r := diag.Run(ex.in, a.Checks)
	p := &v1.Page{Check: *checkResult(ex, r, s, CheckOptions{Common: o.Common})}
	p.Check.Head = a.head(v1.KindCheck, start)
	p.Map = *a.mapOf(s, v1.Tail{Findings: p.Check.Findings}, o.Snapshot)
	p.Map.Tail = v1.Tail{}
	for _, f := range o.Flows {
		ends := strings.Fields(f)
		t := &tracer{a: a, c: o.Common, s: s}
		tr, err := t.trace(ctx, TraceOptions{From: ends[0], To: ends[1]})
		if err != nil {
			return nil, err
		}
		if p.Map.Path == nil {
			p.Map.Path = onMap(s, p.Map.Nodes, tr)
		}
		tr.Head = a.head(v1.KindTrace, start)
		p.Traces = append(p.Traces, *tr)
	}
	left := 0
	for i := range ex.in.Flows {
		f := &ex.in.Flows[i]
		if !f.Broken() && !f.Unmasked {
			continue
		}
		if len(p.Traces) >= mostTraces {
			left++
			continue
		}
		tr := v1.TraceResult{Proto: string(f.Flow.Proto), Why: f.Kind, From: v1.Endpoint{Target: f.From, Netns: f.Flow.From, Outside: f.Outside}, To: v1.Endpoint{Target: f.To, Address: f.Flow.Dst.String(), Port: int(f.Flow.Dport), Container: f.Target}}
		fill(ex.in.Snap, &tr, f)
		tr.Head = a.head(v1.KindTrace, start)
		p.Traces = append(p.Traces, tr)
	}
	if left > 0 {
		p.Left = append(p.Left, fmt.Sprintf("%d more paths that do not work", left))
	}
	left = 0
	for i := range ex.in.Names {
		n := &ex.in.Names[i]
		if n.Path == nil || n.Path.Verdict == names.Resolved || n.Path.Problem == nil {
			continue
		}
		if len(p.Names) >= mostNames {
			left++
			continue
		}
		d := dnsResult(ex.in.Snap, n)
		d.Head = a.head(v1.KindDNS, start)
		p.Names = append(p.Names, d)
	}
	if left > 0 {
		p.Left = append(p.Left, fmt.Sprintf("%d more names that do not resolve", left))
	}
	rulesOf(p, ex.in.Snap)
	return p, nil
}

// rulesOf puts the rules of this host's namespaces on the page, the host's first,
// and marks those that findings and paths rest on.
func rulesOf(p *v1.Page, s *snap.Snapshot) {
	decides := map[string][]string{}
	mark := func(ref, code string) {
		if ref != "" && !slices.Contains(decides[ref], code) {
			decides[ref] = append(decides[ref], code)
		}
	}
	for i := range p.Check.Findings {
		f := &p.Check.Findings[i]
		for _, e := range f.Evidence {
			mark(e.Ref, f.Code)
		}
	}
	for i := range p.Traces {
		if w := p.Traces[i].Where; w != nil && p.Traces[i].Verdict != "delivered" {
			mark(w.Ref, "path")
		}
	}
	room := mostRules
	left := 0
	for i := range s.Netns {
		ns := &s.Netns[i]
		if !ns.Class.Ours() {
			continue
		}
		for j := range ns.Ruleset.Tables {
			t := &ns.Ruleset.Tables[j]
			out := v1.RuleTable{Netns: ns.ID, System: string(t.System), Family: string(t.Family), Name: t.Name}
			for k := range t.Chains {
				c := &t.Chains[k]
				if len(c.Rules) == 0 && c.Policy != "drop" {
					continue
				}
				rc := v1.RuleChain{Name: c.Name, Hook: c.Hook, Policy: c.Policy, Decides: decides[string(snap.RefChain(ns.ID, t, c.Name))]}
				for l := range c.Rules {
					r := &c.Rules[l]
					if room == 0 {
						left++
						continue
					}
					room--
					rc.Rules = append(rc.Rules, v1.RuleLine{Num: l + 1, Text: firewall.RuleText(ns, t, c, r), Packets: r.Packets, Bytes: r.Bytes, Decides: decides[string(snap.RefRule(ns.ID, t, c.Name, l+1))]})
				}
				out.Chains = append(out.Chains, rc)
			}
			if len(out.Chains) > 0 {
				p.Tables = append(p.Tables, out)
			}
		}
	}
	if left > 0 {
		p.Left = append(p.Left, fmt.Sprintf("%d more firewall rules", left))
	}
}
