package render

import (
	"fmt"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// list is the screen of ls.
func (p *printer) list(r *v1.ListResult, wide bool) {
	if len(r.Items) == 0 {
		p.line(s("no " + r.Of))
	} else {
		head, rows := p.items(r, wide)
		p.table("", head, rows)
	}
	if !p.st.Quiet {
		p.skipped(r.Coverage.Skipped, p.st.Verbose || wide)
	}
}

// items are the columns and rows of a list; columns in which nothing stands are
// left out.
func (p *printer) items(r *v1.ListResult, wide bool) ([]string, [][]span) {
	members := "networks"
	if r.Of == "networks" {
		members = "containers"
	}
	type column struct {
		head string
		wide bool
		of   func(*v1.Item) string
	}
	all := []column{
		{"name", false, func(i *v1.Item) string { return i.Name }},
		{"id", r.Of != "transactions" && r.Of != "checks" && r.Of != "engines", func(i *v1.Item) string { return i.ID }},
		{"state", false, func(i *v1.Item) string { return i.State }},
		{"netns", r.Of == "netns", func(i *v1.Item) string { return i.Netns }},
		{"addresses", false, func(i *v1.Item) string { return listed(i.Addresses, wide) }},
		{members, false, func(i *v1.Item) string { return listed(i.Networks, wide) }},
		{"ports", false, func(i *v1.Item) string { return listed(i.Ports, wide) }},
		{"target", true, func(i *v1.Item) string { return i.Target }},
		{"changed", false, func(i *v1.Item) string { return steps(i.Steps, wide) }},
		{"detail", r.Of == "transactions" || r.Of == "containers" || r.Of == "netns", func(i *v1.Item) string { return i.Detail }},
	}
	var head []string
	rows := make([][]span, len(r.Items))
	for _, c := range all {
		filled := false
		for i := range r.Items {
			filled = filled || c.of(&r.Items[i]) != ""
		}
		if !filled || c.wide && !wide {
			continue
		}
		head = append(head, c.head)
		for i := range r.Items {
			rows[i] = append(rows[i], s(c.of(&r.Items[i])))
		}
	}
	return head, rows
}

// steps is what a transaction changed; all of it only when it is asked for.
func steps(list []string, all bool) string {
	if more := len(list) - maxSteps; more > 1 && !all {
		return fmt.Sprintf("%s; and %d more", strings.Join(list[:maxSteps], "; "), more)
	}
	return strings.Join(list, "; ")
}

// maxSteps is how many steps of a transaction are shown: one may have a hundred.
const maxSteps = 2

// maxListed is how many names of a cell are shown: a network may have a thousand.
const maxListed = 8

// listed is a cell of several names; all of them only when it is asked for.
func listed(names []string, all bool) string {
	if more := len(names) - maxListed; more > 1 && !all {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// inspect is the screen of one object.
func (p *printer) inspect(r *v1.InspectResult, wide bool) {
	for i, sec := range r.Sections {
		if len(sec.Facts) == 0 {
			continue
		}
		if i > 0 {
			p.line()
		}
		p.line(in(bold, sec.Title))
		var rows [][]span
		for _, f := range sec.Facts {
			rows = append(rows, []span{in(dim, f.Name), s(f.Value)})
		}
		p.table("  ", nil, rows)
	}
	if len(r.Findings) > 0 {
		p.line()
		p.findings(r.Findings, wide)
	}
}

// explain is the page of a check; its text is the program's own.
func (p *printer) explain(r *v1.ExplainResult) {
	p.line(in(bold, r.Code+"  "+r.Title))
	p.line(in(dim, joinDots(r.Name, r.Severity+" by default", since(r.Since), fixable(r.Fixable))))
	p.line()
	lines := strings.Split(strings.ReplaceAll(r.Doc, "\t", "    "), "\n") // as it was written, where nobody knows the width
	if p.st.Wrap {
		lines = paragraphs(r.Doc)
	}
	for _, l := range lines {
		for _, part := range p.wrap(l, 0) {
			p.line(s(part))
		}
	}
	if len(r.After) > 0 {
		p.line()
		p.labelled("", "follows", s("from "+strings.Join(r.After, ", ")+", when one of them is found and explains it"))
	}
	if r.Fixable {
		p.line()
		p.labelled("", "fix", in(cyan, "netdoctor fix "+r.Code))
	}
}

// paragraphs are a text's, each on one line; an indented line stays as it is.
func paragraphs(doc string) []string {
	var out []string
	prose := false
	for _, l := range strings.Split(doc, "\n") {
		l = strings.TrimRight(strings.ReplaceAll(l, "\t", "    "), " ")
		indented := l == "" || l[0] == ' '
		if prose && !indented {
			out[len(out)-1] += " " + l
		} else {
			out = append(out, l)
		}
		prose = !indented
	}
	return out
}

func since(v string) string {
	if v == "" {
		return ""
	}
	return "since " + v
}

func fixable(b bool) string {
	if b {
		return "netdoctor fix mends it where it can"
	}
	return "needs a person"
}

// joinDots puts together what is not empty.
func joinDots(parts ...string) string { return diag.Joined(" · ", parts...) }

// written is the screen of snapshot.
func (p *printer) written(r *v1.SnapshotResult) {
	p.file(r.File, r.Bytes, r.Contents)
	if len(r.Redacted) > 0 {
		p.line(s("replaced by pseudonyms: " + strings.Join(r.Redacted, ", ")))
	} else {
		p.line(in(yellow, "nothing was replaced by pseudonyms: look before you give it away"))
	}
	p.skipped(r.Coverage.Skipped, p.st.Verbose)
}

// file says what a file that was written holds.
func (p *printer) file(name string, bytes int64, contents []v1.Fact) {
	p.ends([]span{in(bold, name)}, in(dim, size(bytes)))
	for _, f := range contents {
		p.labelled("  ", f.Value, s(f.Name))
	}
}

func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// capabilities is the screen of what this process may do.
func (p *printer) capabilities(r *v1.CapabilitiesResult) {
	p.line(in(bold, "host"), s("   "+joinDots(r.Host.Distro, "kernel "+r.Host.Kernel, hostLine(r.Host, nil))))
	if len(r.Can) > 0 {
		p.line()
		var rows [][]span
		for _, c := range r.Can {
			sign, paint := "?", yellow
			switch c.Have {
			case "yes":
				sign, paint = p.st.sign("ok")
			case "no":
				sign, paint = p.st.sign("error")
			}
			t := c.For
			if c.Why != "" {
				t += ": " + c.Why
			}
			if c.Needs != "" {
				t += " (needs " + c.Needs + ")"
			}
			rows = append(rows, []span{in(paint, sign), s(c.Name), s(c.Have), s(t)})
		}
		p.table("", []string{"", "may", "", "for"}, rows)
	}
	if len(r.Tools) > 0 {
		p.line()
		var rows [][]span
		for _, t := range r.Tools {
			rows = append(rows, []span{s(t.Name), s(t.Value)})
		}
		p.table("", []string{"tool", "path"}, rows)
	}
	if len(r.Gaps) > 0 {
		p.line()
		p.skipped(r.Gaps, true)
	}
}

// version is one line; wide tells all.
func (p *printer) version(r *v1.VersionResult, wide bool) {
	p.line(s("netdoctor " + r.Version))
	if !wide && !p.st.Verbose {
		return
	}
	commit := r.Commit
	if r.Modified {
		commit += " (changed)"
	}
	p.labelled("", "commit", s(joinDots(commit, r.Date)))
	p.labelled("", "go", s(r.Go+" "+r.OS+"/"+r.Arch))
	p.labelled("", "schema", s(fmt.Sprintf("%s, snapshots %d", v1.APIVersion, r.SnapshotSchema)))
}

// lab is the screen of the lab commands.
func (p *printer) lab(r *v1.LabResult) {
	var rows [][]span
	for _, f := range r.Items {
		rows = append(rows, []span{in(bold, f.Name), s(f.Value)})
	}
	if len(rows) == 0 {
		p.line(s("lab " + r.Lab + ": " + r.Action))
	}
	p.table("", nil, rows)
}
