package app

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestFixPlansWhatIsBehind: a bridge that is down hides that db sends its answers to
// a MAC that nobody has, and the plan holds both changes, in that order.
func TestFixPlansWhatIsBehind(t *testing.T) {
	t.Parallel()
	plan := func(s *snap.Snapshot, want ...string) []string {
		a := New()
		a.Read = func(context.Context, ReadOptions) (*snap.Snapshot, error) { return s, nil }
		r, err := a.Fix(t.Context(), FixOptions{DryRun: true, Want: want, Common: Common{NoProbe: true}})
		p, ok := r.(*v1.FixPlan)
		if !ok || !errors.Is(err, ErrPending) {
			t.Fatalf("%T %v", r, err)
		}
		var out []string
		for _, c := range p.Changes {
			out = append(out, strings.Join(c.Do, "; "))
		}
		return out
	}
	up := "ip link set dev br-app up"
	if got := plan(broken()); !slices.Equal(got, []string{up}) {
		t.Errorf("only the bridge is down: %q", got)
	}
	s := broken()
	db := s.Ns("db")
	db.Neighs = append(db.Neighs, snap.Neigh{Index: 2, IP: netip.MustParseAddr("172.30.1.11"), MAC: "02:00:00:00:00:99", State: "permanent"})
	if got := plan(s); len(got) != 2 || got[0] != up || got[1] != "ip -n db neigh del 172.30.1.11 dev eth0" {
		t.Errorf("a neighbour entry is wrong, too: %q", got)
	}
	if got := plan(s, "ND1101"); !slices.Equal(got, []string{up}) {
		t.Errorf("only ND1101 was asked for: %q", got)
	}
}
