package app

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// patient is a host that shows another fault once the first is mended; it is its own
// Changer.
type patient struct {
	now    *snap.Snapshot
	behind func(*snap.Snapshot) // done after the first change
	runs   []string
	// undoable are the transactions that can be taken back, undone those that were.
	undoable, undone []string
}

func (p *patient) Apply(_ context.Context, _ *snap.Snapshot, tx Tx) (Applied, error) {
	next := p.now.Clone()
	for _, op := range tx.Ops {
		if err := op.On(next); err != nil {
			return Applied{}, err
		}
	}
	if len(p.runs) == 0 {
		p.behind(next)
	}
	p.now, p.runs = next, append(p.runs, tx.Run)
	return Applied{Transaction: tx.ID}, nil
}

func (p *patient) Undo(_ context.Context, id string) (Transaction, []string, error) {
	if !slices.Contains(p.undoable, id) {
		return Transaction{}, nil, snap.ErrNotFound
	}
	p.undone = append(p.undone, id)
	return Transaction{}, nil, nil
}

func (p *patient) List(context.Context) ([]Transaction, error) { return nil, nil }

// TestFixGoesOn: that db sends its answers to a MAC that nobody has is seen only when
// the bridge is up again. It is asked about, mended in the same run, and verified;
// who says no keeps the first change.
func TestFixGoesOn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		want     []string
		second   bool // what is answered when the second plan is shown
		changes  []string
		asked    int
		verified bool
	}{
		{"yes", nil, true, []string{"ip link set dev br-app up", "ip -n db neigh del 172.30.1.11 dev eth0"}, 2, true},
		{"no", nil, false, []string{"ip link set dev br-app up"}, 2, false},
		{"only what was asked for", []string{"ND1101"}, true, []string{"ip link set dev br-app up"}, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &patient{now: broken(), behind: func(s *snap.Snapshot) {
				db := s.Ns("db")
				db.Neighs = append(db.Neighs, snap.Neigh{Index: 2, IP: netip.MustParseAddr("172.30.1.11"), MAC: "02:00:00:00:00:99", State: "permanent"})
			}}
			a, asked := New(), 0
			a.Changer, a.Settle = p, 0
			a.Read = func(context.Context, ReadOptions) (*snap.Snapshot, error) { return p.now.Clone(), nil }
			r, err := a.Fix(t.Context(), FixOptions{Common: Common{NoProbe: true}, Want: tt.want, Confirm: func(*v1.FixPlan) (bool, error) {
				asked++
				return asked == 1 || tt.second, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			res, ok := r.(*v1.FixResult)
			if !ok {
				t.Fatalf("%T", r)
			}
			var done []string
			for i, c := range res.Changes {
				if c.ID != i+1 {
					t.Errorf("change %d is numbered %d", i+1, c.ID)
				}
				done = append(done, strings.Join(c.Do, "; "))
			}
			if !slices.Equal(done, tt.changes) || asked != tt.asked || res.Verified != tt.verified || !res.Applied || len(res.Transactions) != len(tt.changes) {
				t.Errorf("did %q, asked %d times, verified %v, applied %v, transactions %v (%s)", done, asked, res.Verified, res.Applied, res.Transactions, res.Error)
			}
			if len(slices.Compact(p.runs)) != 1 {
				t.Errorf("journalled as the runs %v, want one", p.runs)
			}
		})
	}
}

// TestWhatDidNotHelpIsPlannedAnew: of a fix that was taken back another one is tried when
// the rest is mended, and the same one is not.
func TestWhatDidNotHelpIsPlannedAnew(t *testing.T) {
	t.Parallel()
	s := broken()
	flow := diag.FlowCase{Kind: "peer", From: "web", To: "db:5432/tcp", Trace: &sim.Trace{Verdict: sim.Dropped}}
	look := func(value string) *diagnosis {
		op := &fixups.SysctlSet{Where: fixups.At(s, s.Host.Netns), Key: "net/ipv4/conf/all/rp_filter", Value: value}
		f := diag.Finding{Code: "ND3101", Severity: diag.Error, Subject: diag.Subject{Kind: "chain", Name: "forward"}, Covers: diag.Cover{Traces: []int{0}}, Fix: &diag.Fix{Ops: []fixups.Op{op}}}
		return &diagnosis{s: s, in: &diag.Input{Snap: s, Flows: []diag.FlowCase{flow}}, r: diag.Report{Findings: []diag.Finding{f}}}
	}
	before := look("2")
	for value, want := range map[string][]int{"2": nil, "0": {0}} {
		if got := behind(before, look(value), []mended{{finding: 0}}); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", value, got, want)
		}
		if got := behind(before, look(value), nil); got != nil {
			t.Errorf("%s, not taken back: %v", value, got)
		}
	}
}

// TestVainChangesAreTakenBack: a change goes that helped none of those it was made for;
// one that helped one of them stays, and so does one whose sufferers were not looked at again.
func TestVainChangesAreTakenBack(t *testing.T) {
	t.Parallel()
	s := broken()
	name := func(host string, v names.Verdict) diag.NameCase {
		n := diag.NameCase{From: "web", Ask: diag.NameAsk{Netns: "web", Name: host}, Path: &names.Path{Verdict: v}}
		if v != names.Resolved {
			n.Path.Problem = &names.Problem{Kind: names.UpstreamDead}
		}
		return n
	}
	f := diag.Finding{Code: "ND4301", Severity: diag.Error, Covers: diag.Cover{Names: []int{0, 1}}, Fix: &diag.Fix{}}
	before := &diagnosis{s: s, in: &diag.Input{Snap: s, Flows: nil, Names: []diag.NameCase{name("a.test", names.Timeout), name("b.test", names.Timeout)}}, r: diag.Report{Findings: []diag.Finding{f}}}
	tests := map[string]struct {
		after []diag.NameCase
		want  []string
	}{
		"none helped":      {[]diag.NameCase{name("a.test", names.Timeout), name("b.test", names.Timeout)}, []string{"tx"}},
		"one helped":       {[]diag.NameCase{name("a.test", names.Timeout), name("b.test", names.Resolved)}, nil},
		"one looked at":    {[]diag.NameCase{name("b.test", names.Timeout)}, []string{"tx"}},
		"none looked at":   {[]diag.NameCase{name("c.test", names.Timeout)}, nil},
		"the other helped": {[]diag.NameCase{name("a.test", names.Resolved), name("c.test", names.Timeout)}, nil},
	}
	for what, tt := range tests {
		p := &patient{now: s, undoable: []string{"tx"}}
		a := New()
		a.Changer = p
		a.Read = func(context.Context, ReadOptions) (*snap.Snapshot, error) { return p.now.Clone(), nil }
		res := &v1.FixResult{Applied: true, Error: "1 still fails", Transactions: []string{"tx"}, Transaction: "tx"}
		got := &carried{after: &diagnosis{s: s, in: &diag.Input{Snap: s, Names: tt.after}}, did: []mended{{0, "tx"}}}
		err := a.vain(t.Context(), before, got, FixOptions{Common: Common{NoProbe: true}}, res)
		if !slices.Equal(p.undone, tt.want) || errors.Is(err, ErrRolledBack) != (tt.want != nil) || res.RolledBack != (tt.want != nil) {
			t.Errorf("%s: took back %v, %v, rolled back %v", what, p.undone, err, res.RolledBack)
		}
	}
}

// TestUnmended: advice for what went with another's cause is not repeated after the
// change; what is still there keeps it.
func TestUnmended(t *testing.T) {
	t.Parallel()
	gone := diag.Finding{Code: "ND8101", Subject: diag.Subject{Kind: "link", Name: "vx42"}, Summary: "nobody answers in vx42", Advice: "look there"}
	stays := diag.Finding{Code: "ND4301", Subject: diag.Subject{Kind: "server", Name: "192.0.2.53"}, Summary: "192.0.2.53 is silent", Advice: "ask its owner"}
	mends := diag.Finding{Code: "ND3102", Fix: &diag.Fix{}, Advice: "mind the rule's owner"}
	d := &diagnosis{r: diag.Report{Findings: []diag.Finding{mends, gone, stays}}}
	now := &diagnosis{r: diag.Report{Findings: []diag.Finding{stays, mends}}}
	want := []v1.Advice{{Finding: "ND4301", Summary: stays.Summary, Advice: stays.Advice}}
	if diff := cmp.Diff(want, unmended(d, []int{0, 1, 2}, now)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
