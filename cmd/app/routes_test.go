package app

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// agreeing answers every routing question as sim would, and then lets bend
// change it.
func agreeing(bend func(*snap.RouteAnswer)) func(context.Context, *snap.Snapshot, []sim.RouteAsk) (map[string][]snap.RouteAnswer, []snap.Gap) {
	return func(_ context.Context, s *snap.Snapshot, qs []sim.RouteAsk) (map[string][]snap.RouteAnswer, []snap.Gap) {
		w, out := sim.New(s), map[string][]snap.RouteAnswer{}
		for _, q := range qs {
			n, r := s.Ns(q.Netns), w.Route(q.Netns, q.RouteQuery)
			a := snap.RouteAnswer{Dst: q.Dst, Src: q.Src, Mark: q.Mark, IPProto: q.Proto.Number(), Sport: q.Sport, Dport: q.Dport, Errno: r.Errno, Type: r.Type, Table: r.Table}
			if l := n.Link(q.Iif); l != nil {
				a.Iif = l.Index
			}
			if len(r.Ways) > 0 {
				a.OutIf, a.Gateway = n.Link(r.Ways[0].Dev).Index, r.Ways[0].Gateway
			}
			bend(&a)
			out[q.Netns] = append(out[q.Netns], a)
		}
		return out, nil
	}
}

// TestTheKernelIsASecondWitness: where the kernel routes otherwise than
// predicted, that is told; where it does not, nothing is.
func TestTheKernelIsASecondWitness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		bend func(*snap.RouteAnswer)
		want string // in the finding; "" no finding
	}{
		{"agrees", func(*snap.RouteAnswer) {}, ""},
		{"refuses", func(a *snap.RouteAnswer) { a.Errno = "EACCES" }, "the kernel answers EACCES"},
		{"another device", func(a *snap.RouteAnswer) { a.OutIf = 1 }, "the kernel sends it by lo"},
		{"another kind", func(a *snap.RouteAnswer) { a.Type = "blackhole" }, "the kernel's route is blackhole"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := &App{
				Checks: checks.All(), Now: func() time.Time { return time.Unix(0, 0) },
				Read: func(context.Context, ReadOptions) (*snap.Snapshot, error) { return fixture(), nil },
				Open: func(string) (io.ReadCloser, error) { return nil, io.EOF },
				Probe: func(context.Context, *snap.Snapshot, []snap.Probe, Observe) ([]snap.Probe, []snap.Observer) {
					return nil, nil
				},
				Routes: agreeing(c.bend),
			}
			res, err := a.Trace(t.Context(), TraceOptions{From: "client", To: "web:80"})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, f := range res.Findings {
				if f.Code == string(diag.Code("ND9001")) {
					got = f.Summary
				}
			}
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("finding %q, want one with %q", got, c.want)
			}
		})
	}
}

// TestAskRoutesSkipsWhatIsGone: a namespace that ended meanwhile has no answers,
// and that is no gap.
func TestAskRoutesSkipsWhatIsGone(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{Netns: []snap.Netns{{ID: "gone", Inode: 1, Path: "/proc/0/ns/net"}, {ID: "light", Inode: 2, Path: "/proc/self/ns/net", Light: true}}}
	got, gaps := askRoutes(t.Context(), s, []sim.RouteAsk{{Netns: "gone"}, {Netns: "light"}, {Netns: "never"}})
	if len(got) != 0 || len(gaps) != 0 {
		t.Errorf("answers %v, gaps %v", got, gaps)
	}
}
