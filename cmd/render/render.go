package render

import (
	"fmt"
	"io"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// Formats are the formats that every result can be written in; the first is
// the one for people.
func Formats() []string { return []string{"text", "wide", "json", "yaml", "ndjson", "markdown"} }

// Write writes a result in a format of Formats.
func Write(w io.Writer, r v1.Result, format string, st Style) error {
	switch format {
	case "json":
		return writeJSON(w, r, true)
	case "yaml":
		return writeYAML(w, r)
	case "ndjson":
		return lines(w, r)
	case "markdown":
		return markdown(w, r, st)
	case "junit", "tap", "sarif", "github":
		return ci(w, r, format, st)
	case "dot", "svg":
		m, ok := r.(*v1.MapResult)
		switch {
		case !ok:
			return fmt.Errorf("format %q is not for a %s", format, r.Meta().Kind)
		case format == "dot":
			return dot(w, m)
		}
		return svg(w, m)
	case "text", "wide":
		p := newPrinter(w, st)
		p.result(r, format == "wide")
		return p.flush()
	}
	return fmt.Errorf("format %q is not known", format)
}

// lines writes one result a line; sets are taken apart.
func lines(w io.Writer, r v1.Result) error {
	switch set := r.(type) {
	case *v1.TraceSetResult:
		for i := range set.Traces {
			if err := writeJSON(w, &set.Traces[i], false); err != nil {
				return err
			}
		}
		return nil
	case *v1.DNSSetResult:
		for i := range set.Results {
			if err := writeJSON(w, &set.Results[i], false); err != nil {
				return err
			}
		}
		return nil
	}
	return writeJSON(w, r, false)
}

// result chooses the screen.
func (p *printer) result(r v1.Result, wide bool) {
	switch v := r.(type) {
	case *v1.CheckResult:
		p.check(v, wide)
	case *v1.TraceResult:
		p.trace(v, wide)
	case *v1.TraceSetResult:
		p.traceSet(v, wide)
	case *v1.ProbeResult:
		p.probes(v, wide)
	case *v1.WatchEvent:
		p.line(s(v.StartedAt.Format("15:04:05") + "  " + v.Event + "  " + v.Text))
	case *v1.DNSResult:
		p.dns(v, wide)
	case *v1.DNSSetResult:
		p.dnsSet(v, wide)
	case *v1.FixPlan:
		p.plan(v)
	case *v1.FixResult:
		p.fixed(v)
	case *v1.UndoResult:
		p.undone(v)
	case *v1.ListResult:
		p.list(v, wide)
	case *v1.InspectResult:
		p.inspect(v, wide)
	case *v1.ExplainResult:
		p.explain(v)
	case *v1.SnapshotResult:
		p.written(v)
	case *v1.CapabilitiesResult:
		p.capabilities(v)
	case *v1.VersionResult:
		p.version(v, wide)
	case *v1.SetupResult:
		p.setup(v)
	case *v1.LabResult:
		p.lab(v)
	case *v1.ReportResult:
		p.file(v.File, v.Bytes, v.Contents)
	case *v1.MapResult:
		p.mapTree(v)
	case *v1.DiffResult:
		p.diff(v)
	case *v1.TestResult:
		p.test(v, wide)
	}
}
