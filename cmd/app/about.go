package app

import (
	"context"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Version says what this binary is. It reads nothing.
func (a *App) Version() *v1.VersionResult {
	r := a.Build
	r.SnapshotSchema = snap.Schema
	r.Head = a.head(v1.KindVersion, a.now())
	return &r
}

// Lab is what the practice host answers to what is done with it.
func (a *App) Lab(do func() (*v1.LabResult, error)) (*v1.LabResult, error) {
	start := a.now()
	r, err := do()
	if err != nil {
		return nil, err
	}
	r.Head = a.head(v1.KindLab, start)
	return r, nil
}

// Capabilities says what this process may do here, and what could not be read.
func (a *App) Capabilities(ctx context.Context, c Common) (*v1.CapabilitiesResult, error) {
	start := a.now()
	s, err := a.snapshot(ctx, c)
	if err != nil {
		return nil, err
	}
	res := &v1.CapabilitiesResult{Host: hostInfo(s, c.Snapshot), Gaps: gaps(s)}
	if a.Can != nil && c.Snapshot == "" {
		res.Can = a.Can(ctx)
	}
	for name, path := range s.Host.Tools {
		res.Tools = append(res.Tools, v1.Fact{Name: name, Value: path})
	}
	snap.Sort(res.Tools, func(a, b v1.Fact) int { return strings.Compare(a.Name, b.Name) })
	res.Coverage.Skipped = res.Gaps
	res.Head = a.head(v1.KindCapabilities, start)
	return res, nil
}

// Complete gives the targets that begin with what was typed, for the shell's
// completion. It never fails: nothing is completed then.
func (a *App) Complete(ctx context.Context, c Common, typed string) []string {
	s, err := a.snapshot(ctx, c)
	if err != nil {
		return nil
	}
	var out []string
	for _, n := range (finder{s}).Names() {
		if strings.HasPrefix(n, typed) {
			out = append(out, n)
		}
	}
	return out
}
