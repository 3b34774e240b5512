package checks_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/fault"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// inLab is the part of a lab's processes.
func inLab() { lab.Child() }

// TestCasesInLab builds the practice host of each case that has one, breaks it,
// reads the real kernel, sends real probes, compares with what the case wants,
// mends it really, and reads again.
func TestCasesInLab(t *testing.T) {
	for _, c := range cases(t) {
		if c.lab == "" {
			continue
		}
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			if !lab.Alone(t) {
				return
			}
			c.inLab(t)
		})
	}
}

// host is a practice host under a case.
type host struct {
	t *testing.T
	a *app.App
	c *caseFile
}

func (c *caseFile) inLab(t *testing.T) {
	t.Helper()
	spec := lab.Default()
	if c.lab == "spec" {
		var err error
		if spec, err = lab.ParseSpec(c.sections["lab"]); err != nil {
			t.Fatal(err)
		}
	}
	lab.New(t, spec)
	h := &host{t: t, a: app.New(), c: c}
	s := h.read()
	if c.fault != "" {
		if _, r := run(s, nil); len(errorsOf(&r)) > 0 {
			t.Fatalf("the host is not well before it is broken:\n%s", reportText(r))
		}
		s = h.breaks(s)
	}
	s = h.probe(s)
	if *update {
		if err := keep(c.snapshot, s); err != nil {
			t.Fatal(err)
		}
	}
	stable, err := normal(s)
	if err != nil {
		t.Fatal(err)
	}
	c.offline(t, stable)
	if !c.near {
		h.proves(s)
		h.mends(s)
	}
}

// proves: what keeps packets from their way is proved by packets.
func (h *host) proves(s *snap.Snapshot) {
	h.t.Helper()
	asks, err := h.c.questions(s)
	if err != nil {
		h.t.Fatal(err)
	}
	_, r := run(s, asks)
	for _, f := range of(&r, h.c.code) {
		if len(f.Covers.Traces) > 0 && f.Confidence != diag.Proved && !strings.Contains(f.Unproved, "beyond this host") {
			h.t.Errorf("%s is %s: %s", f.Summary, f.Confidence, f.Unproved)
		}
	}
}

func errorsOf(r *diag.Report) []diag.Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f diag.Finding) bool { return f.Severity == diag.Info })
}

func (h *host) read() *snap.Snapshot {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	s, err := h.a.Read(ctx, app.ReadOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// probe sends what check and trace would send, and adds the answers.
func (h *host) probe(s *snap.Snapshot) *snap.Snapshot {
	h.t.Helper()
	asks, err := h.c.questions(s)
	if err != nil {
		h.t.Fatal(err)
	}
	in, _ := run(s, asks)
	s = s.Clone()
	for _, qs := range in.Rounds() {
		got, by := h.a.Probe(h.t.Context(), s, qs, nil)
		s.Probes, s.Observers = append(s.Probes, got...), by
	}
	number := func() {
		for i := range s.Probes {
			s.Probes[i].ID = i + 1
		}
	}
	number()
	if in, _ := run(s, asks); len(in.Doubts()) > 0 {
		again, _ := h.a.Again(h.t.Context(), s, in.Doubts(), nil)
		s.Probes = append(s.Probes, again...)
		number()
	}
	in, _ = run(s, asks)
	if qs := slices.Concat(in.RouterQuestions(), in.Opinions()); len(qs) > 0 {
		got, _ := h.a.Probe(h.t.Context(), s, qs, nil)
		s.Probes = append(s.Probes, got...)
		number()
	}
	return s
}

// applier carries out operations with a journal of the test's own.
func (h *host) applier() *apply.Applier { return &apply.Applier{Dir: lab.RunDir + "/journal"} }

// breaks brings the case's fault about.
func (h *host) breaks(s *snap.Snapshot) *snap.Snapshot {
	h.t.Helper()
	f, err := fault.Find(h.c.fault)
	if err != nil {
		h.t.Fatal(err)
	}
	ops, err := f.Break(s, h.c.target)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.applier().Apply(h.t.Context(), s, apply.Tx{ID: f.Name, Ops: ops}); err != nil {
		h.t.Fatal(err)
	}
	return h.read()
}

// mends carries out the fix of what the case is about; the finding is gone
// then. Undo gives back what was broken.
func (h *host) mends(s *snap.Snapshot) {
	t := h.t
	t.Helper()
	asks, err := h.c.questions(s)
	if err != nil {
		t.Fatal(err)
	}
	_, r := run(s, asks)
	var txs []apply.Tx
	for _, f := range of(&r, h.c.code) {
		if f.Fix != nil && len(f.Fix.Ops) > 0 {
			txs = append(txs, apply.Tx{ID: string(f.Code), Ops: f.Fix.Ops})
		}
	}
	if len(txs) == 0 {
		return
	}
	done, err := h.applier().Apply(t.Context(), s, txs...)
	if err != nil {
		t.Fatalf("mending: %v", err)
	}
	// Neighbours that were given up take a second to be found again, and longer on
	// a machine that is busy.
	for until := time.Now().Add(10 * time.Second); ; {
		bad := h.stillBad(asks)
		if len(bad) == 0 {
			break
		}
		if time.Now().After(until) {
			t.Errorf("after the fix:\n%s", strings.Join(bad, "\n"))
			break
		}
	}
	for _, id := range slices.Backward(done.Transactions) {
		if _, err := h.applier().Undo(t.Context(), id); err != nil {
			t.Fatalf("undoing %s: %v", id, err)
		}
	}
	if _, r = run(h.probe(h.read()), asks); len(of(&r, h.c.code)) == 0 {
		t.Errorf("undo does not bring the fault back, but:\n%s", reportText(r))
	}
}

// settled reads until links that came up have found their carrier: the kernel
// stillBad is what is found after the fix and should not be.
func (h *host) stillBad(asks []diag.Ask) []string {
	h.t.Helper()
	_, r := run(h.probe(h.settled()), asks)
	var bad []string
	for _, f := range of(&r, h.c.code) {
		bad = append(bad, string(f.Code)+" "+f.Summary)
	}
	for _, f := range errorsOf(&r) {
		if h.c.fault != "" && !slices.Contains(h.c.left, string(f.Code)) {
			bad = append(bad, string(f.Code)+" "+f.Summary)
		}
	}
	return bad
}

// tells it up to a second later (net/core/link_watch.c).
func (h *host) settled() *snap.Snapshot {
	h.t.Helper()
	for until := time.Now().Add(5 * time.Second); ; {
		s := h.read()
		if !lateCarrier(s) || time.Now().After(until) {
			return s
		}
	}
}

// lateCarrier says whether an end of a veth is up without carrier although its
// peer is up, too.
func lateCarrier(s *snap.Snapshot) bool {
	for i := range s.Netns {
		n := &s.Netns[i]
		for j := range n.Links {
			l := &n.Links[j]
			if l.Kind != "veth" || !l.Up || l.LowerUp {
				continue
			}
			if p := s.Ns(l.PeerNetns); p != nil {
				if q := p.LinkAt(l.Peer); q != nil && q.Up {
					return true
				}
			}
		}
	}
	return false
}
