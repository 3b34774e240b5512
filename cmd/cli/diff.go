package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) diff() *cobra.Command {
	var detailed bool
	cmd := &cobra.Command{
		Use:     "diff A [B]",
		GroupID: groupState,
		Short:   "Say what changed between two states, and what each change broke",
		Long: `Compare two files of netdoctor snapshot, or one with this machine as it is. What
changed is told in the words of networking. To find what a change broke it is
made alone on the older state, and everything that must work is followed again.
Counters, neighbours and connections change by themselves and are left out.`,
		Example: `  netdoctor snapshot -o good.ndsnap
  netdoctor diff good.ndsnap
  netdoctor diff good.ndsnap bad.ndsnap -o json`,
		Args: args(1, 2, "a file of netdoctor snapshot"),
		RunE: func(cmd *cobra.Command, got []string) error {
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			o := app.DiffOptions{Common: c, A: got[0], B: s.g.snapshot}
			if len(got) > 1 {
				if s.g.snapshot != "" {
					return app.Usagef("diff takes two states, and --snapshot is a third")
				}
				o.B = got[1]
			}
			if o.A == "-" && o.B == "-" {
				return app.Usagef("both states on stdin")
			}
			a := s.use()
			r, err := s.reading(cmd.Context(), func(ctx context.Context) (v1.Result, error) { return result(a.Diff(ctx, o)) })
			err = s.show(r, err)
			if d, ok := r.(*v1.DiffResult); ok && detailed && err == nil && s.exit == exitOK && len(d.Changes) > 0 {
				s.exit = exitPending
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 4 when there are changes and nothing is broken")
	return cmd
}
