package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxLine bounds one line of a batch: far more than any flow needs.
const maxLine = 64 << 10

// batchLine is one flow of a batch. To is any destination of the target
// grammar; the port and protocol may stand beside it instead of in it.
type batchLine struct {
	From   string `json:"from"`
	To     string `json:"to"`
	ToIP   string `json:"to_ip"`
	ToPort int    `json:"to_port"`
	Port   int    `json:"port"`
	Proto  string `json:"proto"`
	Size   int    `json:"size"`
	Sport  int    `json:"sport"`
}

// dst writes the destination in the target grammar.
func (l batchLine) dst() (string, error) {
	to := l.To
	if to == "" {
		to = l.ToIP
	}
	port := l.ToPort
	if port == 0 {
		port = l.Port
	}
	if l.Sport < 0 || l.Sport > 65535 || port < 0 || port > 65535 || l.Size < 0 || l.Size > 65535 {
		return "", Usagef("a port or size is out of range")
	}
	if to == "" || l.From == "" {
		return "", Usagef(`a flow needs "from" and "to"`)
	}
	sp, err := parse(to, true)
	if err != nil {
		return "", err
	}
	proto := strings.ToLower(l.Proto)
	if proto == "icmp" || proto == "icmp6" {
		if sp.Port == 0 && sp.Proto == "" {
			return to + "/icmp", nil
		}
		return to, nil
	}
	if sp.Port == 0 && port != 0 {
		if sp.Addr.Is6() {
			to = "[" + strings.Trim(to, "[]") + "]"
		}
		to = fmt.Sprintf("%s:%d", to, port)
	}
	if sp.Proto == "" && proto != "" {
		to += "/" + proto
	}
	return to, nil
}

// TraceBatch follows flows, one JSON line each, over one snapshot of the host,
// and gives the results to emit in the order of the lines. Lines that can't be
// understood give a result of verdict unknown that says why, and the error
// at the end is of kind ErrUsage.
func (a *App) TraceBatch(ctx context.Context, c Common, in io.Reader, emit func(*v1.TraceResult) error) error {
	s, err := a.snapshot(ctx, c)
	if err != nil {
		return err
	}
	b := &batch{a: a, c: c, s: s, world: sim.New(s)}
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 0, 4096), maxLine)
	var lines [][]byte
	flush := func() error {
		for _, r := range b.all(ctx, lines) {
			if err := emit(r); err != nil {
				return err
			}
		}
		lines = lines[:0]
		return ended(ctx)
	}
	for sc.Scan() {
		if l := bytes.TrimSpace(sc.Bytes()); len(l) > 0 {
			lines = append(lines, bytes.Clone(l))
		}
		if len(lines) == 1024 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	switch err := sc.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		if err := emit(b.wrong(a.now(), Usagef("a line is longer than %d bytes; it and what follows was not read", maxLine))); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("reading flows: %w", err)
	}
	if n := b.bad.Load(); n > 0 {
		return snap.Hint(Usagef("%s could not be asked: not understood", diag.Count(int(n), "line")), "each one's answer says why")
	}
	return nil
}

// batch is many flows over one snapshot.
type batch struct {
	a     *App
	c     Common
	s     *snap.Snapshot
	world *sim.World
	bad   atomic.Int64 // lines that the caller got wrong
}

// all follows some lines at once, in order, and proves them when it may.
func (b *batch) all(ctx context.Context, lines [][]byte) []*v1.TraceResult {
	out := make([]*v1.TraceResult, len(lines))
	cases := make([]*diag.FlowCase, len(lines))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(lines)) {
		wg.Go(func() {
			for i := range next {
				out[i], cases[i] = b.one(ctx, lines[i])
			}
		})
	}
	for i := range lines {
		next <- i
	}
	close(next)
	wg.Wait()
	if b.c.live() && b.a.Probe != nil {
		b.prove(ctx, out, cases)
	}
	return out
}

// prove sends a packet for each flow that one can be sent for.
func (b *batch) prove(ctx context.Context, out []*v1.TraceResult, cases []*diag.FlowCase) {
	in := &diag.Input{Snap: b.s}
	var qs []snap.Probe
	var at []int
	for i, c := range cases {
		if c == nil {
			continue
		}
		if q, ok := in.Question(c); ok {
			qs, at = append(qs, q), append(at, i)
		}
	}
	if len(qs) == 0 {
		return
	}
	answers, observers := b.a.Probe(ctx, b.s, qs, b.c.Observe)
	with := withProbes(b.routed(ctx, qs, at, cases), answers, observers)
	in.Snap = with
	for k, i := range at {
		c := *cases[i]
		c.Probe, c.Asked = &with.Probes[len(b.s.Probes)+k], true
		in.Flows = append(in.Flows, c)
	}
	b.again(ctx, in)
	if b.c.Observe.has("counters") {
		b.a.recount(ctx, in)
	}
	for k, i := range at {
		fill(with, out[i], &in.Flows[k])
		out[i].Sent = sent([]snap.Probe{*in.Flows[k].Probe})
		out[i].DurationMs = v1.Ms(b.a.now().Sub(out[i].StartedAt))
	}
}

// routed is the snapshot with the kernel's own word on routes that are missing for
// answers: of UDP no packet tells of those.
func (b *batch) routed(ctx context.Context, qs []snap.Probe, at []int, cases []*diag.FlowCase) *snap.Snapshot {
	in := &diag.Input{Snap: b.s}
	for k, i := range at {
		if w := cases[i].Trace.Where; qs[k].Kind == "udp" && w != nil && w.Reply && w.Layer == "route" {
			in.Flows = append(in.Flows, *cases[i])
		}
	}
	if routes := in.RouteQuestions(); b.a.Routes != nil && len(routes) > 0 {
		return withRoutes(ctx, b.s, b.a.Routes, routes)
	}
	return b.s
}

// again asks once more what is in doubt.
func (b *batch) again(ctx context.Context, in *diag.Input) {
	doubts := in.Doubts()
	if b.a.Again == nil || len(doubts) == 0 {
		return
	}
	more, _ := b.a.Again(ctx, b.s, doubts, b.c.Observe)
	for i := range in.Flows {
		for k := range doubts {
			if p := in.Flows[i].Probe; p != nil && doubts[k].ID == p.ID {
				in.Flows[i].Probe = &more[k]
			}
		}
	}
}

// one follows one line.
func (b *batch) one(ctx context.Context, line []byte) (*v1.TraceResult, *diag.FlowCase) {
	start := b.a.now()
	var l batchLine
	if err := json.Unmarshal(line, &l); err != nil {
		return b.wrong(start, Usagef("not a flow: %v", err)), nil
	}
	to, err := l.dst()
	if err != nil {
		return b.wrong(start, err), nil
	}
	if err := ctx.Err(); err != nil {
		return b.wrong(start, errors.New("--timeout is over")), nil
	}
	t := &tracer{a: &App{Now: b.a.Now, Probe: b.a.Probe}, c: b.c, s: b.s, batch: true, world: b.world}
	f := finder{b.s}
	src, err := f.source(l.From)
	if err == nil {
		var dst Target
		if dst, err = f.dest(to); err == nil {
			if _, perr := netip.ParseAddr(strings.Trim(l.To, "[]")); perr == nil {
				dst.Bare = false
			}
			return b.walk(ctx, t, &ask{src: src, dst: dst}, TraceOptions{Size: l.Size, Sport: uint16(l.Sport)})
		}
	}
	return b.wrong(start, err), nil
}

// walk follows an ask through the model alone; names are not asked of the wire.
func (b *batch) walk(ctx context.Context, t *tracer, q *ask, o TraceOptions) (*v1.TraceResult, *diag.FlowCase) {
	start := b.a.now()
	t.c.NoProbe = true
	if err := t.resolve(ctx, q); err != nil {
		return b.wrong(start, err), nil
	}
	t.flow(q, o)
	res := &v1.TraceResult{From: q.from, To: q.to, Proto: string(q.dst.Proto), Why: "asked", Name: q.name}
	var fc *diag.FlowCase
	switch {
	case q.diag.Flow != nil:
		fc = &diag.FlowCase{Kind: "asked", Flow: *q.diag.Flow, Outside: q.diag.Outside, Trace: b.world.Trace(*q.diag.Flow)}
		fill(b.s, res, fc)
	case q.stop != nil:
		res.Verdict, res.Where = string(sim.Dropped), q.stop
		res.Predicted = &v1.Said{Verdict: res.Verdict, Detail: q.stop.Detail}
	default:
		res.Verdict, res.Unknown = string(sim.Unknown), []string{q.unknown}
		res.Predicted = &v1.Said{Verdict: res.Verdict, Detail: q.unknown}
	}
	res.Head = b.a.head(v1.KindTrace, start)
	return res, fc
}

// wrong is the result for a flow that could not even be asked.
func (b *batch) wrong(start time.Time, err error) *v1.TraceResult {
	if errors.Is(err, ErrUsage) {
		b.bad.Add(1)
	}
	why := err.Error()
	return &v1.TraceResult{
		Head: b.a.head(v1.KindTrace, start), Verdict: string(sim.Unknown), Why: "asked",
		Predicted: &v1.Said{Verdict: string(sim.Unknown), Detail: why}, Unknown: []string{why},
	}
}
