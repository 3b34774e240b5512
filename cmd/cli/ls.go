package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) ls() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:       "ls [" + strings.Join(app.Lists(), "|") + "]",
		GroupID:   groupState,
		Short:     "List what there is",
		ValidArgs: app.Lists(),
		Example: `  netdoctor ls
  netdoctor ls networks -o wide`,
		Args: args(0, 1, ""),
		RunE: func(cmd *cobra.Command, got []string) error {
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			o := app.ListOptions{Common: c, All: all}
			if len(got) > 0 {
				o.Of = got[0]
			}
			return s.ask(cmd, func(ctx context.Context) (v1.Result, error) { return result(s.use().List(ctx, o)) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also namespaces that have no link to this host")
	return cmd
}
