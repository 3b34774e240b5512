package app

import (
	"context"
	"fmt"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ladder measures what the ways of the flows carry that were asked for and
// proved. It gives the echoes that were sent.
func (a *App) ladder(ctx context.Context, in *diag.Input) []snap.Probe {
	if a.PathMTU == nil {
		return nil
	}
	var out []snap.Probe
	for i := range in.Flows {
		f := &in.Flows[i]
		limit, _ := in.Ladder(f)
		if limit == 0 || ctx.Err() != nil {
			continue
		}
		out = append(out, a.PathMTU(ctx, in.Snap, f.Flow.From, f.Flow.Dst, limit)...)
	}
	return out
}

// pathMTU says what was measured; nil when there was no reason to.
func pathMTU(in *diag.Input, f *diag.FlowCase) *v1.PathMTU {
	limit, why := in.Ladder(f)
	m := in.PathMTU(f)
	switch {
	case limit == 0 && why == "", limit > 0 && !in.Measured(f): // nor in a snapshot that holds the probe alone
		return nil
	case limit == 0:
		return &v1.PathMTU{Why: why}
	case m == nil:
		return &v1.PathMTU{DeviceBytes: limit, Why: fmt.Sprintf("no echo comes back from %s, not even a small one", f.Flow.Dst)}
	}
	out := &v1.PathMTU{DeviceBytes: m.Limit, FitsBytes: m.Fits, TooBigBytes: m.TooBig, ToldBytes: m.Told}
	if m.By.IsValid() {
		out.ToldBy = m.By.String()
	}
	if m.Smaller() {
		out.Option = in.MTUOption(f, m.Fits)
	}
	return out
}
