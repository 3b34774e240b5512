package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) report() *cobra.Command {
	var o app.ReportOptions
	var format string
	cmd := &cobra.Command{
		Use:     "report -o FILE.html",
		GroupID: groupState,
		Short:   "Write one page: verdict, map, findings, paths, rules",
		Long: `Write one HTML page that needs no other file and no network: the verdict, the
map, findings with evidence and fix, the paths and names that do not work, the
firewall's rules with the deciding ones marked, and all of it as JSON.`,
		Example: `  netdoctor report -o report.html
  netdoctor report -o report.html --trace "web db:5432"`,
		Args:              args(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.beforeFile(o.File, format)
			if err != nil {
				return err
			}
			o.Common, o.Out, o.Write = c, s.env.Stdout, render.Report
			a := s.use()
			r, err := s.reading(cmd.Context(), func(ctx context.Context) (v1.Result, error) { return result(a.Report(ctx, o)) })
			if o.File == "-" || s.g.quiet {
				return err
			}
			return s.show(r, err)
		},
	}
	cmd.Flags().StringVarP(&o.File, "output", "o", "", "write to this `FILE`, which must not be there yet; - is stdout")
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT` of what is said about the file")
	cmd.Flags().StringArrayVar(&o.Flows, "trace", nil, "also trace and show this path: `\"SRC DST\"`; the first is drawn on the map")
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace the file if it is there")
	return cmd
}
