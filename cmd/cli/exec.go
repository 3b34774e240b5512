package cli

import (
	"github.com/spf13/cobra"
)

func (s *session) exec() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "exec CONTAINER COMMAND [ARG...]",
		GroupID:           groupBuild,
		Short:             "Run a command in one of our running containers",
		Example:           `  netdoctor exec client getent hosts web`,
		Args:              args(2, -1, "a container and a command"),
		ValidArgsFunction: s.complete(1),
		RunE: func(cmd *cobra.Command, got []string) error {
			std, closeAll, err := s.std()
			if err != nil {
				return err
			}
			defer closeAll()
			code, err := s.use().Exec(cmd.Context(), got[0], got[1:], std)
			s.exit = code
			return err
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the command is its own
	return cmd
}
