package app

import (
	"cmp"
	"context"
	"slices"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diff"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// DiffOptions are those of diff.
type DiffOptions struct {
	Common
	A string // the older state, a file
	B string // the newer state, a file; "" is this machine
}

// mostTried bounds the changes that are made alone to see what they break:
// beyond it two states are not one host that something happened to.
const mostTried = 64

// Diff says what changed between two states, and what each change broke: it is
// made alone on the older state, and everything is followed again. It sends
// nothing.
func (a *App) Diff(ctx context.Context, o DiffOptions) (*v1.DiffResult, error) {
	start := a.now()
	older := o.Common
	older.Snapshot, older.NoProbe = o.A, true
	sa, err := a.snapshot(ctx, older)
	if err != nil {
		return nil, err
	}
	newer := o.Common
	newer.Snapshot, newer.NoProbe = o.B, true
	sb, err := a.snapshot(ctx, newer)
	if err != nil {
		return nil, err
	}
	if len(sa.Redacted) > 0 && len(sb.Redacted) == 0 && a.Redact != nil {
		sb = a.Redact(sb) // or each pseudonym would be a change
	}
	if sa.Host.Name != sb.Host.Name {
		a.note("these are states of two hosts: %s and %s", sa.Host.Name, sb.Host.Name)
	}
	// Answers of probes belong to their own state; what is compared is the model.
	sa, sb = unprobed(sa), unprobed(sb)
	res := &v1.DiffResult{A: hostInfo(sa, o.A), B: hostInfo(sb, o.B)}
	d := a.differences(ctx, sa, sb)
	if err := ended(ctx); err != nil {
		return nil, err
	}
	res.Changes, res.Broke, res.Mended = d.changes, d.broke, d.mended
	ra, rb := diag.Run(d.ina, a.Checks), diag.Run(d.inb, a.Checks)
	res.Tail = tail(sb, rb)
	before, after := map[string]bool{}, map[string]bool{}
	for i := range ra.Findings {
		before[string(ra.Findings[i].Code)+ra.Findings[i].Summary] = true
	}
	for i := range rb.Findings {
		after[string(rb.Findings[i].Code)] = true
	}
	res.Findings = snap.Without(res.Findings, func(f v1.Finding) bool { return before[f.Code+f.Summary] })
	for i := range ra.Findings {
		if c := string(ra.Findings[i].Code); !after[c] && !slices.Contains(res.Gone, c) {
			res.Gone = append(res.Gone, c)
		}
	}
	res.Head = a.head(v1.KindDiff, start)
	return res, nil
}

// difference is what changed between two states: what broke something first,
// what broke without a single change as its cause, and what works again.
type difference struct {
	changes       []v1.Difference
	broke, mended []v1.Turned
	ina, inb      *diag.Input
}

// differences makes each change alone on the older state to see what it broke.
func (a *App) differences(ctx context.Context, sa, sb *snap.Snapshot) difference {
	changes := diff.Of(sa, sb)
	ina, inb := diag.Build(sa, nil, diag.Options{}), diag.Build(sb, nil, diag.Options{})
	was, is := fates(ina), fates(inb)
	broke, mended := turned(was, is)
	blamed := map[string]bool{}
	var first, rest []v1.Difference
	tried := 0
	for i := range changes {
		c := &changes[i]
		d := inWords(changes[i : i+1])[0]
		if len(broke) > 0 && tried < mostTried && ctx.Err() == nil {
			if s := sa.Clone(); c.On(s) {
				tried++
				now := fates(diag.Build(s, nil, diag.Options{}))
				for _, t := range broke {
					if o, ok := now[key(t)]; ok && o.bad {
						d.Broke = append(d.Broke, t)
						blamed[key(t)] = true
					}
				}
			}
		}
		if c.Loses {
			d.Broke = lost(was, is, c.Name)
		}
		if len(d.Broke) > 0 {
			first = append(first, d)
		} else {
			rest = append(rest, d)
		}
	}
	snap.Sort(first, func(x, y v1.Difference) int { return len(y.Broke) - len(x.Broke) })
	d := difference{changes: slices.Concat(first, rest), mended: mended, ina: ina, inb: inb}
	for _, t := range broke {
		if !blamed[key(t)] {
			d.broke = append(d.broke, t)
		}
	}
	return d
}

// inWords are changes as they are shown.
func inWords(cs []diff.Change) []v1.Difference {
	out := make([]v1.Difference, 0, len(cs))
	for i := range cs {
		c := &cs[i]
		out = append(out, v1.Difference{Sign: c.Sign, Noun: c.Noun, Netns: c.Netns, Name: c.Name, Text: c.Text, Ref: string(c.Ref)})
	}
	return out
}

// unprobed is a snapshot without answers from the wire.
func unprobed(s *snap.Snapshot) *snap.Snapshot {
	out := *s
	out.Probes = nil
	return &out
}

// fate is what becomes of a flow or name.
type fate struct {
	t   v1.Turned // without After
	bad bool
	of  []string // the containers at its ends
}

func key(t v1.Turned) string { return t.Kind + "|" + t.From + "|" + t.To }

// fates are those of everything that must work. Of several flows with the same
// ends one that fails counts: they stand for one thing.
func fates(in *diag.Input) map[string]fate {
	out := map[string]fate{}
	add := func(t v1.Turned, bad bool, of ...string) {
		if old, ok := out[key(t)]; !ok || bad && !old.bad {
			out[key(t)] = fate{t, bad, of}
		}
	}
	first := func(netns string) string {
		if ns := in.Snap.Ns(netns); ns != nil && len(ns.Containers) > 0 {
			return ns.Containers[0]
		}
		return ""
	}
	for i := range in.Flows {
		f := &in.Flows[i]
		v := string(f.Trace.Verdict)
		if f.Works() {
			v = "delivered"
		}
		if f.Unmasked && f.Works() {
			v = "leaves with an address that no answer finds"
		}
		add(v1.Turned{Kind: "flow", From: f.From, To: f.To, Before: v}, f.Broken() || f.Unmasked, f.Target, first(f.Flow.From))
	}
	for i := range in.Names {
		n := &in.Names[i]
		if n.Path != nil {
			add(v1.Turned{Kind: "name", From: n.From, To: n.Ask.Name, Before: string(n.Path.Verdict)}, n.Path.Verdict != names.Resolved && n.Path.Verdict != names.Unknown, n.Ask.Container)
		}
	}
	return out
}

// lost are the cases at a container that held and are not asked for any more.
func lost(was, is map[string]fate, container string) []v1.Turned {
	var out []v1.Turned
	for k, x := range was {
		if _, ok := is[k]; !ok && !x.bad && slices.Contains(x.of, container) {
			t := x.t
			t.After = "gone"
			out = append(out, t)
		}
	}
	snap.Sort(out, func(a, b v1.Turned) int { return cmp.Compare(key(a), key(b)) })
	return out
}

// turned are the cases that are bad in the one and not in the other.
func turned(was, is map[string]fate) (broke, mended []v1.Turned) {
	for k, x := range was {
		y, ok := is[k]
		if !ok || x.bad == y.bad {
			continue
		}
		t := x.t
		t.After = y.t.Before
		if y.bad {
			broke = append(broke, t)
		} else {
			mended = append(mended, t)
		}
	}
	byKey := func(a, b v1.Turned) int { return cmp.Compare(key(a), key(b)) }
	snap.Sort(broke, byKey)
	snap.Sort(mended, byKey)
	return broke, mended
}
