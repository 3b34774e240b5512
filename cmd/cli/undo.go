package cli

import (
	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/render"
)

func (s *session) undo() *cobra.Command {
	var list bool
	cmd := &cobra.Command{
		Use:     "undo [ID]",
		GroupID: groupFix,
		Short:   "Put back what the last fix changed, or one transaction of it",
		Long: `Put back what the last fix changed on this host, or one transaction, by the ID that
fix says and undo --list shows. What was changed since by somebody else is left as
it is, and said. A change that a restart of the machine took away is "past".`,
		Example: `  netdoctor undo
  netdoctor undo --list`,
		Args:              args(0, 1, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, got []string) error {
			if _, err := s.before(render.Formats()); err != nil {
				return err
			}
			a := s.use()
			if list {
				return s.show(result(a.Journal(cmd.Context())))
			}
			id := ""
			if len(got) > 0 {
				id = got[0]
			}
			return s.show(result(a.Undo(cmd.Context(), id)))
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "list what was changed")
	cmd.Flags().Bool("yes", false, "undo asks nothing: for hands that are used to fix --yes")
	_ = cmd.Flags().MarkHidden("yes") // fails for a flag that is not there only
	return cmd
}
