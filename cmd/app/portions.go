package app

import (
	"context"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// The room for neighbour entries that a kernel has by default, and the least that
// is asked at a time whatever room there is: a question leads to two of them.
const (
	neighLimit  = 1024
	leastAtOnce = 16
)

// inPortions puts all questions, and no more of them at a time than the kernel has
// room for the neighbours of: it makes no entries for anybody when it has none left.
// What a portion led to is taken away after it.
func inPortions(ctx context.Context, s *snap.Snapshot, p *probe.Prober, ask []probe.Question) []snap.Probe {
	if len(ask) <= neighLimit/8 { // all runs but those that ask everybody for everybody
		return p.Run(ctx, ask)
	}
	out := make([]snap.Probe, 0, len(ask))
	for len(ask) > 0 {
		n := min(len(ask), portion(ctx, s))
		out = append(out, p.Run(ctx, ask[:n])...)
		if err := p.Forget(s, ask[:n]); err != nil {
			for i := len(out) - n; i < len(out); i++ { // the next ones may fail for it
				out[i].Detail = strings.TrimPrefix(out[i].Detail+"; "+err.Error(), "; ")
			}
		}
		ask = ask[n:]
	}
	return out
}

// portion is how many questions half of the room that is left does for.
func portion(ctx context.Context, s *snap.Snapshot) int {
	entries, limit := 0, neighLimit
	if h := s.HostNs(); h != nil && h.Path != "" {
		if x, err := ns.Open(h.Path); err == nil {
			if e, l, err := kernel.ReadNeighTable(ctx, x); err == nil && l > 0 {
				entries, limit = e, l
			}
			_ = x.Close() // only read
		}
	}
	return max(leastAtOnce, (limit-entries)/4)
}
