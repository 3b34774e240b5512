package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// leastEvery keeps a repeated question from being a load.
const leastEvery = 100 * time.Millisecond

// again are the flags of a command that can put its question again and again.
type again struct{ every, span time.Duration }

func (g *again) flags(f *pflag.FlagSet) {
	f.DurationVar(&g.every, "every", 0, "ask again so often, and answer when something has changed")
	f.DurationVar(&g.span, "for", 0, "with --every: how long (default until interrupted)")
}

// answer shows an answer once, or, with --every, each one that is another than
// the last.
func (s *session) answer(ctx context.Context, g *again, do func(context.Context) (v1.Result, error)) error {
	switch {
	case g.every == 0 && g.span == 0:
		return s.show(s.reading(ctx, do))
	case g.every < leastEvery:
		return app.Usagef("--every %s is less than %s", g.every, leastEvery)
	case g.span < 0:
		return app.Usagef("--for %s is no time at all", g.span)
	case s.g.snapshot != "":
		return app.Usagef("a snapshot never changes: --every is for a live host")
	case !slices.Contains([]string{"text", "ndjson"}, s.g.output):
		return snap.Hint(app.Usagef("--every with -o %s makes no whole document", s.g.output), "-o text or -o ndjson")
	}
	if g.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, g.span, errOver)
		defer cancel()
	}
	last, first := "", true
	for {
		r, err := s.reading(ctx, do)
		if ctx.Err() != nil {
			return s.over(ctx)
		}
		switch {
		case r == nil && errors.Is(err, snap.ErrTimeout):
			report(s.env, err) // the next round may be in time
		case r == nil:
			return err
		default:
			if now := app.Essence(r); first || now != last {
				if !first && s.g.output == "text" {
					fmt.Fprintf(s.env.Stdout, "\nat %s:\n\n", time.Now().Format(time.TimeOnly))
				}
				if werr := s.show(r, nil); werr != nil {
					return werr
				}
				if last, first = now, false; err != nil { // shown all the same
					s.exit = exitOfError(err)
					report(s.env, err)
				}
			}
		}
		t := time.NewTimer(g.every)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return s.over(ctx)
		}
	}
}

// errOver is the end of the time given by --for.
var errOver = errors.New("the time given by --for is over")

// over ends a repeated question: after --for with what the last answer was.
func (s *session) over(ctx context.Context) error {
	if !errors.Is(context.Cause(ctx), errOver) {
		s.exit = exitInterrupt
	}
	return nil
}

// everyHelp is what the help of those commands says of it.
const everyHelp = `With --every 5s the question is put again and again, until interrupted or for the
time of --for, and answered when verdicts or findings are others than before.`
