package app

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestAContainerThatEndsWhileItIsProbedContradictsNothing: it answered nobody because
// it was not there any more. One that is there and answers nobody is told of.
func TestAContainerThatEndsWhileItIsProbedContradictsNothing(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		a := &App{
			Checks: checks.All(), Now: func() time.Time { return time.Unix(0, 0) },
			Read: func(context.Context, ReadOptions) (*snap.Snapshot, error) { return fixture(), nil },
			Open: func(string) (io.ReadCloser, error) { return nil, io.EOF },
			Probe: func(_ context.Context, s *snap.Snapshot, qs []snap.Probe, _ Observe) ([]snap.Probe, []snap.Observer) {
				web := s.Container("docker:web")
				for i := range qs {
					p := &qs[i]
					p.Outcome, p.Sent, p.Got = snap.Answered, 1, 1
					if p.From == web.Netns || p.Dst.Addr() == web.Endpoints[0].IPv4.Addr() {
						p.Outcome, p.Got = snap.TimedOut, 0
					}
				}
				return qs, nil
			},
			Departed: func(s *snap.Snapshot) []int {
				for i := range s.Containers {
					if gone && s.Containers[i].Ref == "docker:web" && s.Containers[i].Running() {
						return []int{i}
					}
				}
				return nil
			},
		}
		res, err := a.Check(t.Context(), CheckOptions{})
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for _, f := range res.Findings {
			said = said || f.Code == "ND9001"
		}
		if said == gone {
			t.Errorf("gone %v: contradictions told of: %v (%d findings)", gone, said, len(res.Findings))
		}
	}
}
