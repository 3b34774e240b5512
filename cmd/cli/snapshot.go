package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) snapshotCmd() *cobra.Command {
	var full, force bool
	var file, format string
	cmd := &cobra.Command{
		Use:     "snapshot -o FILE",
		GroupID: groupState,
		Short:   "Write the state of the host into one file",
		Long: `Write the state of the host into one file, which every reading command takes
with --snapshot FILE, on any machine and without privileges. Label values,
command lines and names from outside the containers' networks are replaced by
pseudonyms unless --full is given.`,
		Example: `  netdoctor snapshot -o host.ndsnap
  netdoctor check --snapshot host.ndsnap`,
		Args:              args(0, 1, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, got []string) error {
			c, err := s.beforeFile(file, format)
			if err != nil {
				return err
			}
			if len(got) > 0 {
				if file != "" {
					return app.Usagef("two files are given: %q and %q", file, got[0])
				}
				file = got[0]
			}
			o := app.SnapshotOptions{Common: c, File: file, Full: full, Force: force, Out: s.env.Stdout}
			a := s.use()
			r, err := s.reading(cmd.Context(), func(ctx context.Context) (v1.Result, error) { return result(a.Snapshot(ctx, o)) })
			if file == "-" || s.g.quiet {
				return err
			}
			return s.show(r, err)
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "write to this `FILE`, which must not be there yet; - is stdout")
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT` of what is said about the file")
	cmd.Flags().BoolVar(&full, "full", false, "replace nothing by pseudonyms")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	return cmd
}
