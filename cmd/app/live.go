package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
	"github.com/netdoctor/netdoctor/probe/witness"
)

// New is the App that works on this machine. It touches nothing yet.
func New() *App {
	b := build()
	return &App{
		Build:      b,
		Checks:     checks.All(),
		Read:       reader("netdoctor " + b.Version),
		Open:       func(path string) (io.ReadCloser, error) { return os.Open(path) },
		Load:       inspect.Load,
		Save:       inspect.Save,
		Write:      write,
		Redact:     inspect.Redact,
		Probe:      sender(0),
		Again:      sender(patience),
		Count:      recounted,
		Track:      tracked,
		Limits:     inspect.Limits,
		TraceRules: tracedRules,
		PathMTU:    echoed,
		Reclaim:    reclaimed,
		Routes:     askRoutes,
		Departed:   inspect.Departed,
		StandIn: func(n *snap.Netns, proto snap.Proto, at netip.AddrPort) (Stand, error) {
			s, err := (&probe.Prober{}).StandIn(n, proto, at)
			if err != nil {
				return nil, err // never a nil inside of an interface
			}
			return s, nil
		},
		Drops: func(s *snap.Snapshot) (Drops, error) {
			d, err := witness.NewDrops(s)
			if err != nil {
				return nil, err // never a nil inside of an interface
			}
			return d, nil
		},
		Notices: func(s *snap.Snapshot) (Notices, error) {
			n, err := kernel.NewNotifier(s)
			if err != nil {
				return nil, err // never a nil inside of an interface
			}
			return n, nil
		},
		Can: can,

		Changer: newChanger(),
		Nets:    newNets(),
		Settle:  settleFor,
	}
}

// reader reads the machine; this program itself is the child that reads the
// files of containers.
func reader(tool string) func(context.Context, ReadOptions) (*snap.Snapshot, error) {
	return func(ctx context.Context, o ReadOptions) (*snap.Snapshot, error) {
		eo := engine.Options{DockerHost: o.DockerHost, Runtime: o.Runtime}
		if self, err := os.Executable(); err == nil {
			eo.Child = []string{self, engine.ChildArg}
		}
		return inspect.Read(ctx, inspect.Options{HostNS: o.HostNS, Engine: eo, Tool: tool})
	}
}

// patience is how long a question whose silence is in doubt waits: TCP has sent
// three SYNs by then (after 1 and after 3 s: net/ipv4/tcp_timer.c), a neighbour has
// been asked for three times, and a busy machine has come round.
const patience = 3500 * time.Millisecond

// pace is the time between two questions that are asked once more: a rule that lets
// ten a second through drops none of them.
const pace = 100 * time.Millisecond

// dnsPatience is how long a program waits for a name server before it asks again
// (resolv.conf(5), timeout): what comes later comes too late.
const dnsPatience = 5 * time.Second

// sender puts questions to the network, each from its namespace, and has their
// packets watched. 0 is the usual timeout.
func sender(timeout time.Duration) func(context.Context, *snap.Snapshot, []snap.Probe, Observe) ([]snap.Probe, []snap.Observer) {
	return func(ctx context.Context, s *snap.Snapshot, qs []snap.Probe, by Observe) ([]snap.Probe, []snap.Observer) {
		return send(ctx, s, qs, by, timeout)
	}
}

func send(ctx context.Context, s *snap.Snapshot, qs []snap.Probe, by Observe, timeout time.Duration) ([]snap.Probe, []snap.Observer) {
	p := &probe.Prober{Timeout: timeout}
	if timeout > 0 {
		p.Pace = pace
	}
	watch, done := watched(s, p, by)
	defer done()
	out := make([]snap.Probe, len(qs))
	var ask []probe.Question
	var at []int
	for i := range qs {
		q := &qs[i]
		from := s.Ns(q.From)
		if from == nil {
			out[i] = *q
			out[i].Outcome, out[i].Detail = snap.Failed, fmt.Sprintf("namespace %s is not known", q.From)
			continue
		}
		x := question(from, q)
		switch {
		case timeout > 0 && q.Kind == "dns":
			x.Timeout, x.Tries = dnsPatience, 1
		case timeout > 0 && q.Kind == "arp":
			x.Timeout = timeout
		}
		ask, at = append(ask, x), append(at, i)
	}
	for i, a := range inPortions(ctx, s, p, ask) {
		out[at[i]] = a
	}
	return out, watch
}

// arpPatience is how long a question of who has an address waits: machines on one wire
// answer within milliseconds.
const arpPatience = 400 * time.Millisecond

// question is a probe as it is put.
func question(from *snap.Netns, q *snap.Probe) probe.Question {
	o := probe.Options{Size: q.Size, DF: q.DF, Src: q.Src.Addr(), Sport: q.Src.Port(), Via: q.Via}
	if q.DNS != nil {
		o.Name, o.Type, o.TCP, o.EDNS = q.DNS.Name, q.DNS.Type, q.DNS.TCP, q.DNS.EDNS
	}
	if o.Device = q.In; q.Kind == "arp" {
		o.Timeout = arpPatience
	}
	return probe.Question{Kind: q.Kind, From: from, Dst: q.Dst, Arrives: q.In != "", Options: o}
}

// recounted sends the flow of a probe again and looks at the counters.
func recounted(ctx context.Context, s *snap.Snapshot, p *snap.Probe, netns []string) ([]snap.Counted, error) {
	from := s.Ns(p.From)
	if from == nil {
		return nil, fmt.Errorf("namespace %s: %w", p.From, snap.ErrNotFound)
	}
	var where []*snap.Netns
	for _, id := range netns {
		if n := s.Ns(id); n != nil {
			where = append(where, n)
		}
	}
	q := question(from, p)
	q.Sport = 0
	return witness.Count(ctx, &probe.Prober{}, q, where)
}

// echoed sends echoes of many sizes.
func echoed(ctx context.Context, s *snap.Snapshot, from string, dst netip.Addr, limit int) []snap.Probe {
	n := s.Ns(from)
	if n == nil {
		return nil
	}
	return (&probe.Prober{}).PMTU(ctx, n, dst, limit, probe.Options{}).Probes
}

// watched begins to watch, with what there is: by the tracepoints, which tell all,
// else by packet sockets. The caller calls done.
func watched(s *snap.Snapshot, p *probe.Prober, by Observe) (who []snap.Observer, done func()) {
	if by.has("tracepoints") {
		tp, err := witness.NewTracepoints(s)
		if err == nil {
			p.Observer = tp
			who = append(who, snap.Observer{Name: "tracepoints", Have: true})
			if by.has("packet-sockets") {
				who = append(who, snap.Observer{Name: "packet-sockets", Why: "the tracepoints tell of each device, too", Spared: true})
			}
			return who, func() { _ = tp.Close() } // it ends with this process at the latest
		}
		who = append(who, missing("tracepoints", err, "CAP_BPF and CAP_PERFMON"))
	}
	if by.has("packet-sockets") {
		ps, err := witness.NewSockets(s)
		if err == nil {
			p.Observer = ps
			return append(who, snap.Observer{Name: "packet-sockets", Have: true}), func() { _ = ps.Close() } // only read
		}
		who = append(who, missing("packet-sockets", err, "CAP_NET_RAW"))
	}
	return who, func() {}
}

// missing is an observer that is not there.
func missing(name string, err error, needs string) snap.Observer {
	o := snap.Observer{Name: name, Why: err.Error()}
	if errors.Is(err, snap.ErrPermission) {
		o.Needs = needs
	}
	return o
}

// can tries what this process may do.
func can(context.Context) []v1.Ability {
	var out []v1.Ability
	for _, c := range ns.Capabilities() {
		a := v1.Ability{Name: c.Name, For: c.For, Have: "yes"}
		if !c.OK {
			a.Have, a.Why, a.Needs = "no", c.Why, c.Needs
		}
		out = append(out, a)
	}
	return out
}

// write saves a snapshot in a file of its own.
func write(path string, s *snap.Snapshot, force bool) (int64, error) {
	if err := fileError(path, inspect.WriteFile(path, s, force)); err != nil {
		return 0, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("looking at what was written: %w", err)
	}
	return st.Size(), nil
}
