package cli

import (
	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/render"
)

func (s *session) teardown() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:     "teardown",
		GroupID: groupBuild,
		Short:   "Take away everything that was set up",
		Long: `Take away everything that was set up: containers, networks, rules. It goes by the
marks that everything of ours carries, and so works when the state is lost, too.
Nothing else is touched.`,
		Example: `  netdoctor teardown
  netdoctor teardown --dry-run`,
		Args:              args(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := s.before(render.Formats()); err != nil {
				return err
			}
			return s.show(result(s.use().Teardown(cmd.Context(), s.g.hostNS, dry)))
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would go; exit 4 when something would")
	return cmd
}
