package app

import (
	"context"
	"errors"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// askRoutes asks the kernel for routing decisions, in each namespace at once. A
// namespace that is gone by now has no answers.
func askRoutes(ctx context.Context, s *snap.Snapshot, qs []sim.RouteAsk) (map[string][]snap.RouteAnswer, []snap.Gap) {
	byNS := map[string][]kernel.RouteQuery{}
	var order []string
	for _, q := range qs {
		n := s.Ns(q.Netns)
		if n == nil || n.Light || n.Path == "" {
			continue
		}
		k := kernel.RouteQuery{Dst: q.Dst, Src: q.Src, Mark: q.Mark, Proto: q.Proto, Sport: q.Sport, Dport: q.Dport}
		if l := n.Link(q.Iif); l != nil {
			k.Iif = l.Index
		}
		if l := n.Link(q.Oif); l != nil {
			k.Oif = l.Index
		}
		if byNS[n.ID] == nil {
			order = append(order, n.ID)
		}
		byNS[n.ID] = append(byNS[n.ID], k)
	}
	out := map[string][]snap.RouteAnswer{}
	var gaps []snap.Gap
	for _, id := range order {
		answers, err := askRoutesIn(ctx, s.Ns(id), byNS[id])
		switch {
		case errors.Is(err, snap.ErrVanished), errors.Is(err, snap.ErrNotFound):
		case err != nil:
			gaps = append(gaps, snap.GapOf("route answers", id, err))
		default:
			out[id] = answers
		}
	}
	return out, gaps
}

func askRoutesIn(ctx context.Context, n *snap.Netns, qs []kernel.RouteQuery) ([]snap.RouteAnswer, error) {
	h, err := ns.Open(n.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = h.Close() }() // nothing was written
	if h.Inode() != n.Inode {
		return nil, snap.ErrVanished
	}
	return kernel.AskRoutes(ctx, h, qs)
}
