package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) probe() *cobra.Command {
	var g again
	var all, standIn bool
	cmd := &cobra.Command{
		Use:     "probe SRC DST | --all",
		GroupID: groupFind,
		Short:   "Try one path, or all of them: expected beside seen",
		Long: `Send a real packet from SRC to DST and say what became of it. With --all:
from each container and the host to each container's listening ports, to its
gateway and to the published ports, and each name that must resolve; what is
expected stands beside what was seen. With --no-probe nothing is sent, and what
is expected is all.

` + everyHelp,
		Example: `  netdoctor probe web db:5432
  netdoctor probe --all
  netdoctor probe --all -o wide`,
		Args: func(cmd *cobra.Command, got []string) error {
			if all {
				return args(0, 0, "")(cmd, got)
			}
			return args(2, 2, "a source and a destination, or --all")(cmd, got)
		},
		ValidArgsFunction: s.complete(2),
		RunE: func(cmd *cobra.Command, got []string) error {
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			a := s.use()
			return s.answer(cmd.Context(), &g, func(ctx context.Context) (v1.Result, error) {
				if all {
					return result(a.ReachAll(ctx, c))
				}
				return result(a.Reach(ctx, app.TraceOptions{Common: c, From: got[0], To: got[1], StandIn: standIn}))
			})
		},
	}
	g.flags(cmd.Flags())
	cmd.Flags().BoolVar(&standIn, "stand-in", false, "answer in the application's place: is it at fault, or the network?")
	cmd.Flags().BoolVar(&all, "all", false, "everybody to everything")
	return cmd
}
