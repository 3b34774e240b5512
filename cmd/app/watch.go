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
	// Every is how often the state is read to see what changed without a word of the
	// kernel; 0 is 30 s, or 5 s where it tells of nothing.
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

// Notices say that something changed, as it changes.
type Notices interface {
	// Changed gets a value after a change.
	Changed() <-chan struct{}
	// Watch listens in the namespaces of a newer state from now on.
	Watch(*snap.Snapshot) error
	Close() error
}

// How often the state is read that the kernel does not tell of, and without its
// help; how long to wait for more after a first word of a change; and the share of
// a core that reading may take, as one part of so many.
const (
	watchSeldom = 30 * time.Second
	watchOften  = 5 * time.Second
	watchGather = 100 * time.Millisecond
	watchShare  = 5
)

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
	w.drops = drops
	if err := w.notices(s); err != nil {
		return err
	}
	if w.news != nil {
		defer w.news.Close() //nolint:errcheck // it ends with this process at the latest
	}
	if o.Every <= 0 {
		o.Every = watchOften
		if w.news != nil {
			o.Every = watchSeldom
		}
	}
	return w.loop(ctx, o, seen.ch)
}

// notices begins to listen for changes, and tells whether that works.
func (w *watcher) notices(s *snap.Snapshot) error {
	obs := v1.Observer{Name: "notifications", Why: "this binary has none"}
	text := "told of changes only by looking every few seconds: "
	if w.a.Notices != nil {
		n, err := w.a.Notices(s)
		if err == nil {
			w.news = n
			obs.Have, obs.Why, text = true, "", "told of changes by the kernel's notifications"
		} else {
			obs.Why = err.Error()
		}
	}
	return w.send(&v1.WatchEvent{Event: "observer", Observer: &obs, Text: text + obs.Why})
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
	drops   Drops                // nil: they can't be seen
	news    Notices              // nil: there are none
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
func (w *watcher) loop(ctx context.Context, o WatchOptions, feed chan snap.Seen) error {
	tick, seldom := time.NewTicker(watchTick), time.NewTicker(o.Every)
	defer tick.Stop()
	defer seldom.Stop()
	r := newStates(func() *snap.Snapshot {
		s, err := w.a.Read(ctx, o.Read)
		if err != nil {
			return nil // it is read again
		}
		return s
	})
	defer r.due.Stop()
	var news <-chan struct{}
	if w.news != nil {
		news = w.news.Changed()
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			if r.busy {
				<-r.got
			}
			err = w.flush()
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
			err = w.flush()
		case <-news:
			r.want()
		case <-seldom.C:
			r.want()
		case <-r.due.C:
			r.begin()
		case s := <-r.got:
			r.took()
			if s != nil {
				err = w.changed(ctx, s)
			}
		}
		if err != nil {
			return err
		}
	}
}

// changed tells what is another now.
func (w *watcher) changed(ctx context.Context, s *snap.Snapshot) error {
	older := w.s
	if len(diff.Of(older, s)) == 0 {
		w.state(s)
		return nil
	}
	d := w.a.differences(ctx, older, s)
	w.state(s)
	if w.drops != nil {
		if err := w.drops.Watch(s); err != nil {
			return err
		}
	}
	if w.news != nil {
		if err := w.news.Watch(s); err != nil {
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
	switch x.Func {
	case "inet_rtm_getroute", "inet6_rtm_getroute", "bpf_prog_test_run_skb":
		return nil // the kernel's own, made to try something (net/ipv4/route.c, net/bpf/test_run.c)
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
	// Whoever is not connected with this host may use its addresses for others.
	if ns := w.s.Ns(x.Netns); ns != nil && ns.Class.Ours() {
		d.FromContainer, d.ToContainer = w.container(x.Src.Addr()), w.container(x.Dst.Addr())
		d.Rule = w.rule(x)
	}
	return w.say(d, 1)
}
