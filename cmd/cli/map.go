package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// mapFormats are those of map.
func mapFormats() []string {
	return []string{"text", "wide", "json", "yaml", "ndjson", "markdown", "dot", "svg"}
}

func (s *session) mapCmd() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:     "map",
		GroupID: groupState,
		Short:   "Draw what is connected to what: tree, DOT or SVG",
		Long: `Draw this host's networks with what is on them, and what is wrong where. A path
given with --highlight is traced and drawn, the place where it ends in red.

Formats: ` + strings.Join(mapFormats(), ", ") + `.`,
		Example: `  netdoctor map
  netdoctor map --highlight "web db:5432"
  netdoctor map -o svg > map.svg`,
		Args:              args(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.before(mapFormats())
			if err != nil {
				return err
			}
			o := app.MapOptions{Common: c}
			if path != "" {
				ends := strings.Fields(path)
				if len(ends) != 2 {
					return withUsage(cmd, app.Usagef("--highlight %q is no path: it takes \"SRC DST\"", path))
				}
				o.From, o.To = ends[0], ends[1]
			}
			return s.ask(cmd, func(ctx context.Context) (v1.Result, error) { return result(s.use().Map(ctx, o)) })
		},
	}
	cmd.Flags().StringVar(&path, "highlight", "", "trace and draw this path: `\"SRC DST\"`")
	return cmd
}
