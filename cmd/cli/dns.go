package cli

import (
	"context"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/spf13/cobra"
)

func (s *session) dns() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:     "dns NAME [TYPE]",
		GroupID: groupFind,
		Short:   "Walk the way of one name through every resolver",
		Long: `Walk the way of one name: nsswitch, hosts, the search list, 127.0.0.11 and
what stands behind it, upstream servers. Every server on the way is asked
unless --no-probe says otherwise. Without --from the name is asked from every
running container.`,
		Example: `  netdoctor dns db --from web
  netdoctor dns example.org AAAA`,
		Args:              args(1, 2, "a name"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, got []string) error {
			if err := s.before(render.Formats()); err != nil {
				return err
			}
			c, err := s.common()
			if err != nil {
				return err
			}
			o := app.DNSOptions{Common: c, Name: got[0], From: from}
			if len(got) > 1 {
				o.Type = got[1]
			}
			a := s.use()
			return s.show(s.reading(cmd.Context(), func(ctx context.Context) (v1.Result, error) { return a.DNS(ctx, o) }))
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "who asks: a container, host, or netns:NAME")
	_ = cmd.RegisterFlagCompletionFunc("from", s.complete(1)) // the flag is there: it was made one line above
	return cmd
}
