package mutate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ask has the host examined.
func (tr *trial) ask(ctx context.Context, s *snap.Snapshot, noProbe bool) Said {
	a := *tr.app
	a.Read = func(context.Context, app.ReadOptions) (*snap.Snapshot, error) { return s, nil }
	r, err := a.Check(ctx, app.CheckOptions{Common: app.Common{NoProbe: noProbe}})
	if err != nil {
		tr.t.Fatal(err)
	}
	return tr.said(r.Findings)
}

// trace asks for flows that broke, one of each sort, as a person would.
func (tr *trial) trace(ctx context.Context, s *snap.Snapshot) Said {
	a := *tr.app
	a.Read = func(context.Context, app.ReadOptions) (*snap.Snapshot, error) { return s, nil }
	all := Said{Right: make([]bool, len(tr.list))}
	sorts := map[string]int{}
	for i := range tr.flows {
		f := &tr.flows[i]
		sort := fmt.Sprint(f.name != "", f.to.Port() == 0, f.from.Class)
		if !slices.Contains(tr.res.Broken, f.text) || sorts[sort] > 0 {
			continue
		}
		sorts[sort]++
		var found []v1.Finding
		var err error
		if f.name != "" {
			var r v1.Result
			if r, err = a.DNS(ctx, app.DNSOptions{Name: f.name, From: f.sender}); r != nil {
				if d, ok := r.(*v1.DNSResult); ok {
					found = d.Findings
				}
			}
		} else {
			o := app.TraceOptions{From: f.sender, To: f.target}
			if f.to.Port() == 0 {
				o.Size = 1472
			}
			var r *v1.TraceResult
			if r, err = a.Trace(ctx, o); r != nil {
				found = r.Findings
			}
		}
		if err != nil { // a sender that is gone can't be asked for
			sorts[sort]--
			all.Findings = append(all.Findings, f.text+": "+err.Error())
			continue
		}
		one := tr.said(found)
		for k := range one.Right {
			all.Right[k] = all.Right[k] || one.Right[k]
		}
		all.First = all.First || one.First
		for _, x := range one.Findings {
			all.Findings = append(all.Findings, f.text+": "+x)
		}
	}
	return all
}

// said is what findings say of the mutations.
func (tr *trial) said(findings []v1.Finding) Said {
	said := Said{Right: make([]bool, len(tr.list))}
	for i := range findings {
		f := &findings[i]
		if f.Severity == "info" {
			continue
		}
		said.Findings = append(said.Findings, fmt.Sprintf("%s %s: %s", f.Code, f.Severity, f.Summary))
		said.Errors = said.Errors || f.Severity == "error"
		for k := range tr.list {
			if tr.list[k].At(textOf(f)) {
				said.Right[k] = true
				said.First = said.First || len(said.Findings) == 1
			}
		}
	}
	return said
}

// textOf is all that a finding says.
func textOf(f *v1.Finding) string {
	lines := []string{f.Summary, f.Cause, f.Subject.Kind, f.Subject.Name, f.Subject.Netns, f.Advice}
	for _, e := range f.Evidence {
		lines = append(lines, e.Source, e.Text, e.Ref)
	}
	if f.Fix != nil {
		lines = append(lines, f.Fix.Commands...)
	}
	return strings.Join(lines, "\n")
}
