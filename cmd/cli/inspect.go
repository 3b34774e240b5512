package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) inspect() *cobra.Command {
	return &cobra.Command{
		Use:     "inspect TARGET",
		GroupID: groupState,
		Short:   "Tell everything that is known about one object",
		Example: `  netdoctor inspect web
  netdoctor inspect net:app
  netdoctor inspect 172.20.0.3`,
		Args:              args(1, 1, "a target"),
		ValidArgsFunction: s.complete(1),
		RunE: func(cmd *cobra.Command, got []string) error {
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			return s.ask(cmd, func(ctx context.Context) (v1.Result, error) {
				return result(s.use().Inspect(ctx, app.InspectOptions{Common: c, Target: got[0]}))
			})
		},
	}
}
