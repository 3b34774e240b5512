package cli

import (
	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/render"
)

func (s *session) ps() *cobra.Command {
	return &cobra.Command{
		Use:               "ps",
		GroupID:           groupBuild,
		Short:             "List our containers",
		Example:           `  netdoctor ps -o wide`,
		Args:              args(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := s.before(render.Formats()); err != nil {
				return err
			}
			return s.show(result(s.use().Ps(cmd.Context())))
		},
	}
}
