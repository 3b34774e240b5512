package cli

import (
	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/render"
)

func (s *session) disconnect() *cobra.Command {
	return &cobra.Command{
		Use:               "disconnect NETWORK CONTAINER",
		GroupID:           groupBuild,
		Short:             "Take a container off one of our networks",
		Example:           `  netdoctor disconnect app client`,
		Args:              args(2, 2, "a network and a container"),
		ValidArgsFunction: s.complete(2),
		RunE: func(cmd *cobra.Command, got []string) error {
			if _, err := s.before(render.Formats()); err != nil {
				return err
			}
			return s.show(result(s.use().Disconnect(cmd.Context(), s.g.hostNS, got[0], got[1])))
		},
	}
}
