package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diff"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// WatchOptions are those of watch.
type WatchOptions struct {
	Common
	// Every is how often the state is read to see what changed; 0 is 5 s.
	Every time.Duration
	// For is how long; 0 until the context ends.
	For time.Duration
}

// Drops are the packets that the kernel drops, as they are dropped.
type Drops interface {
	// Next waits for one.
	Next(context.Context) (snap.Seen, error)
	// Skipped are those so far that were too many to tell of.
	Skipped() uint64
	// Watch watches the namespaces of a newer state from now on.
	Watch(*snap.Snapshot) error
	Close() error
}

// The most lines of drops in a second: what a person, or a log, can take. What
// goes on is told of once a second.
const (
	dropLines = 20
	watchTick = time.Second
	watchKept = 512 // kinds of drops between two ticks
)

// Watch tells of drops and changes until its time is over, or ctx ends.
func (a *App) Watch(ctx context.Context, o WatchOptions, emit func(*v1.WatchEvent) error) error {
	if o.Snapshot != "" {
		return Usagef("watch looks at this machine, not at a file")
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	if o.Every <= 0 {
		o.Every = 5 * time.Second
	}
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return err
	}
	w := &watcher{a: a, emit: emit, kinds: map[v1.Drop]*v1.Drop{}}
	w.state(s)
	obs := v1.Observer{Name: "tracepoints", Have: true}
	var drops Drops
	var seen dropFeed
	if o.NoProbe {
		seen.err = errors.New("--no-probe keeps this program from being active in the kernel")
	} else {
		drops, seen = a.drops(ctx, s)
	}
	if drops == nil {
		obs.Have, obs.Why = false, "this binary has none"
		if err := seen.err; err != nil {
			obs.Why = err.Error()
			if errors.Is(err, snap.ErrPermission) {
				obs.Needs = "CAP_BPF and CAP_PERFMON"
			}
		}
	} else {
		defer drops.Close() //nolint:errcheck // it ends with this process at the latest
	}
	if err := w.send(&v1.WatchEvent{Event: "observer", Observer: &obs, Text: observerText(obs)}); err != nil {
		return err
	}
	return w.loop(ctx, o, drops, seen.ch)
}

type dropFeed struct {
	ch  chan snap.Seen
	err error
}

// drops begins to watch them, in a goroutine that ends with the feed.
func (a *App) drops(ctx context.Context, s *snap.Snapshot) (Drops, dropFeed) {
	if a.Drops == nil {
		return nil, dropFeed{}
	}
	d, err := a.Drops(s)
	if err != nil {
		return nil, dropFeed{err: err}
	}
	f := dropFeed{ch: make(chan snap.Seen, 64)}
	go func() {
		defer close(f.ch)
		for {
			x, err := d.Next(ctx)
			if err != nil {
				return
			}
			select {
			case f.ch <- x:
			case <-ctx.Done():
				return
			}
		}
	}()
	return d, f
}

func observerText(o v1.Observer) string {
	if o.Have {
		return "watching drops, by the kernel's tracepoint, and changes"
	}
	return "watching changes; drops can't be seen: " + o.Why
}

// watcher is one run of watch.
type watcher struct {
	a       *App
	emit    func(*v1.WatchEvent) error
	s       *snap.Snapshot
	graph   *walk.Graph
	in      *diag.Input
	kinds   map[v1.Drop]*v1.Drop // drops since the last tick, by what they are
	lines   int                  // of drops, since the last tick
	unsaid  int                  // drops that no line told of, since the last tick
	skipped uint64
}

func (w *watcher) state(s *snap.Snapshot) {
	w.s, w.graph = s, walk.New(s)
	w.in = &diag.Input{Snap: s, World: sim.New(s), Graph: w.graph}
}

func (w *watcher) send(e *v1.WatchEvent) error {
	e.Head = w.a.head(v1.KindWatch, w.a.now())
	return w.emit(e)
}

// loop waits for what happens. The state is read beside it.
func (w *watcher) loop(ctx context.Context, o WatchOptions, drops Drops, feed chan snap.Seen) error {
	tick, read := time.NewTicker(watchTick), time.NewTicker(o.Every)
	defer tick.Stop()
	defer read.Stop()
	states := make(chan *snap.Snapshot, 1)
	busy := false
	for {
		var err error
		select {
		case <-ctx.Done():
			if busy {
				<-states
			}
			err = w.flush(drops)
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return err
			}
			return errors.Join(err, ctx.Err())
		case x, ok := <-feed:
			if !ok {
				feed = nil
				continue
			}
			err = w.drop(&x)
		case <-tick.C:
			err = w.flush(drops)
		case <-read.C:
			if !busy {
				busy = true
				go func() {
					s, err := w.a.Read(ctx, o.Read)
					if err != nil {
						s = nil
					}
					states <- s
				}()
			}
		case s := <-states:
			busy = false
			if s != nil {
				err = w.changed(ctx, s, drops)
			}
		}
		if err != nil {
			return err
		}
	}
}

// changed tells what is another now.
func (w *watcher) changed(ctx context.Context, s *snap.Snapshot, drops Drops) error {
	older := w.s
	if len(diff.Of(older, s)) == 0 {
		w.state(s)
		return nil
	}
	d := w.a.differences(ctx, older, s)
	w.state(s)
	if drops != nil {
		if err := drops.Watch(s); err != nil {
			return err
		}
	}
	for i := range d.changes {
		c := &d.changes[i]
		t := c.Sign + " " + strings.TrimSpace(c.Netns+" "+c.Text)
		if n := len(c.Broke); n > 0 {
			t += fmt.Sprintf(": broke %s → %s", c.Broke[0].From, c.Broke[0].To)
			if n > 1 {
				t += fmt.Sprintf(" and %d more", n-1)
			}
		}
		if err := w.send(&v1.WatchEvent{Event: "change", Text: t, Change: c}); err != nil {
			return err
		}
	}
	return nil
}

// drop tells of a drop at once when it is the first of its kind in this second.
func (w *watcher) drop(x *snap.Seen) error {
	k := v1.Drop{Netns: x.Netns, Device: x.Device, Src: x.Src.Addr().String(), Dst: addrPort(x.Dst), Proto: string(x.Proto), Reason: x.Reason, Func: x.Func}
	if k.Reason == "NO_SOCKET" && x.RST {
		return nil // an answer to nobody: it ends a connection, and harms none
	}
	if d := w.kinds[k]; d != nil {
		d.Times++
		return nil
	}
	if len(w.kinds) >= watchKept || w.lines >= dropLines {
		w.unsaid++
		return nil
	}
	w.lines++
	d := k
	w.kinds[k] = &d
	d.Src = addrPort(x.Src)
	d.FromContainer, d.ToContainer = w.container(x.Src.Addr()), w.container(x.Dst.Addr())
	d.Rule = w.rule(x)
	return w.say(d, 1)
}
