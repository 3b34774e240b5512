package app

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// track asks conntrack for what the probes left in it, and puts that into the
// input's snapshot, which is this run's own. It says whether there is anything new.
func (a *App) track(ctx context.Context, in *diag.Input) bool {
	list := in.TrackQuestions()
	if a.Track == nil || len(list) == 0 {
		return false
	}
	o := snap.Observer{Name: "conntrack", Have: true}
	if err := a.Track(ctx, in.Snap, list); err != nil {
		o = missing("conntrack", err, "CAP_NET_ADMIN")
	}
	in.Snap.Observers = append(in.Snap.Observers, o)
	in.Snap.Tracked = list
	return true
}

// tracked fills in what conntrack of each namespace has. Those that are gone by
// now have nothing.
func tracked(ctx context.Context, s *snap.Snapshot, list []snap.Tracked) error {
	byNS := map[string][]*snap.Tracked{}
	for i := range list {
		byNS[list[i].Netns] = append(byNS[list[i].Netns], &list[i])
	}
	var errs []error
	for id, part := range byNS {
		err := trackedIn(ctx, s.Ns(id), part)
		if err != nil && !errors.Is(err, snap.ErrVanished) && !errors.Is(err, snap.ErrNotFound) {
			errs = append(errs, fmt.Errorf("in %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func trackedIn(ctx context.Context, n *snap.Netns, part []*snap.Tracked) error {
	h, err := ns.Open(n.Path)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // only read
	if n.Inode != 0 && h.Inode() != n.Inode {
		return snap.ErrVanished
	}
	return kernel.AskConns(ctx, h, part)
}

// trackedConns are the entries of a probe as they are told.
func trackedConns(in *diag.Input, p *snap.Probe) []v1.Tracked {
	var out []v1.Tracked
	for _, t := range in.TrackedOf(p) {
		out = append(out, v1.Tracked{
			Netns: t.Netns, Src: addrPort(t.Conn.Orig.Src), Dst: addrPort(t.Conn.Orig.Dst),
			ReplySrc: addrPort(t.Conn.Reply.Src), ReplyDst: addrPort(t.Conn.Reply.Dst),
			State: t.Conn.TCPState, Status: t.Conn.Status, Text: diag.TrackText(t.Conn),
		})
	}
	return out
}
