package app

import (
	"context"
	"errors"
	"slices"
	"testing"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestFixLeavesOutTheNeedless: a rule that drops all ICMP is two findings, a ping that
// somebody asks for and the errors that path MTU discovery needs, and one change mends both. Asked for by
// its code the other is planned.
func TestFixLeavesOutTheNeedless(t *testing.T) {
	t.Parallel()
	plan := func(want ...string) []string {
		a := New()
		a.Read = func(context.Context, ReadOptions) (*snap.Snapshot, error) {
			return inspect.ReadFile("../../inspect/diag/checks/testdata/ND7103/icmp-dropped.json.gz")
		}
		r, err := a.Fix(t.Context(), FixOptions{DryRun: true, Want: want, Flow: "db client/icmp", Common: Common{NoProbe: true}})
		p, ok := r.(*v1.FixPlan)
		if !ok || !errors.Is(err, ErrPending) {
			t.Fatalf("%T %v", r, err)
		}
		var out []string
		for _, c := range p.Changes {
			out = append(out, c.Do...)
		}
		return out
	}
	drop := "iptables -D DOCKER-USER -p icmp -j DROP"
	pass := "iptables -I DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
	if got := plan(); !slices.Equal(got, []string{drop}) {
		t.Errorf("of everything: %q", got)
	}
	if got := plan("ND7103"); !slices.Equal(got, []string{pass}) {
		t.Errorf("of what was asked for: %q", got)
	}
}
