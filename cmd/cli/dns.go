package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) dns() *cobra.Command {
	var o app.DNSOptions
	cmd := &cobra.Command{
		Use:     "dns NAME [TYPE] | --all",
		GroupID: groupFind,
		Short:   "Walk the way of one name through every resolver",
		Long: `Walk the way of one name: nsswitch, hosts, the search list, 127.0.0.11 and
what stands behind it, upstream servers. Every server on the way is asked
unless --no-probe says otherwise, by UDP with and without EDNS, and by TCP where
UDP is silent. Without --from the name is asked from every running container.
With --all every name that this host's configuration says must resolve is asked
from every container that should know it.`,
		Example: `  netdoctor dns db --from web
  netdoctor dns example.org AAAA
  netdoctor dns example.org --server 198.51.100.53 --tcp
  netdoctor dns --all`,
		Args: func(cmd *cobra.Command, got []string) error {
			if o.All {
				return args(0, 0, "")(cmd, got)
			}
			return args(1, 2, "a name")(cmd, got)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, got []string) error {
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			o.Common = c
			if len(got) > 0 {
				o.Name = got[0]
			}
			if len(got) > 1 {
				o.Type = got[1]
			}
			return s.ask(cmd, func(ctx context.Context) (v1.Result, error) { return s.use().DNS(ctx, o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "who asks: a `CONTAINER`, host, or netns:NAME")
	f.BoolVar(&o.All, "all", false, "every name that must resolve, from everybody who should know it")
	f.StringVar(&o.Server, "server", "", "ask this server instead of those of resolv.conf: `ADDRESS[:PORT]`")
	f.BoolVar(&o.TCP, "tcp", false, "ask by TCP")
	f.BoolVar(&o.TraceUpstream, "trace-upstream", false, "show the way of the packets to every server, too")
	f.BoolVar(&s.g.short, "short", false, "the answer only")
	_ = cmd.RegisterFlagCompletionFunc("from", s.complete(1)) // the flag is there: it was made one line above
	return cmd
}
