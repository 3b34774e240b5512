package app

import (
	"slices"
	"testing"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
)

// TestOthers: the flows that a change opens or closes are those whose verdicts
// differ, but for the flow that it is about, and all of them are told.
func TestOthers(t *testing.T) {
	t.Parallel()
	s, err := inspect.ReadFile("../cli/testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	in := diag.Build(s, nil, diag.Options{})
	a := &App{Now: func() time.Time { return time.Unix(0, 0) }}
	now, changes, err := try(s, []string{"iptables -I FORWARD -s 172.30.2.0/24 -d 172.30.1.0/24 -j ACCEPT", "iptables -I FORWARD -s 172.30.1.0/24 -d 172.30.2.0/24 -j ACCEPT"})
	if err != nil || len(changes) != 2 {
		t.Fatal(changes, err)
	}
	got := a.others(in, now, 0, nil)
	all, _ := everyFlow(in, 0)
	if got.Followed != len(all) || got.LeftOut != 0 {
		t.Errorf("followed %d and left %d of %d", got.Followed, got.LeftOut, len(all))
	}
	want := 0
	was, is := sim.New(s), sim.New(now)
	for i := range all {
		if outcome(was.Trace(all[i].flow)) != outcome(is.Trace(all[i].flow)) {
			want++
		}
	}
	if want == 0 || len(got.Opens) != want || len(got.Closes)+len(got.Differ) != 0 {
		t.Errorf("opens %d, closes %d, differ %d, want %d opened", len(got.Opens), len(got.Closes), len(got.Differ), want)
	}
	if !slices.ContainsFunc(got.Opens, func(x v1.AfterFlow) bool { return x.From == "client" && x.To == "lonely:80/tcp" }) {
		t.Errorf("client → lonely is not told: %v", got.Opens)
	}
	// The other way round it closes them.
	back := a.others(diag.Build(now, nil, diag.Options{}), s, 0, nil)
	if len(back.Closes) != want || len(back.Opens) != 0 {
		t.Errorf("taken back it closes %d and opens %d, want %d and 0", len(back.Closes), len(back.Opens), want)
	}
	// What it is about is not told again.
	i := slices.IndexFunc(all, func(e endedFlow) bool { return e.from == "client" && e.to == "lonely:80/tcp" })
	if got := a.others(in, now, 0, map[sim.Flow]bool{all[i].flow: true}); len(got.Opens) != want-1 {
		t.Errorf("without the asked flow %d are opened, want %d", len(got.Opens), want-1)
	}
}
