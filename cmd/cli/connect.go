package cli

import (
	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
)

func (s *session) connect() *cobra.Command {
	var o app.ConnectOptions
	cmd := &cobra.Command{
		Use:     "connect NETWORK CONTAINER",
		GroupID: groupBuild,
		Short:   "Put a running container on one of our networks",
		Long: `Put a running container on one of our networks: one of ours, a container of
Docker or another engine (docker:web), or the namespace of a process (pid:1234).
Somebody else's gets a device with an address there, and nothing else of it is
changed.`,
		Example: `  netdoctor connect app client
  netdoctor connect app docker:web
  netdoctor connect app pid:1234`,
		Args:              args(2, 2, "a network and a container"),
		ValidArgsFunction: s.complete(2),
		RunE: func(cmd *cobra.Command, got []string) error {
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			o.Common, o.Network, o.Container = c, got[0], got[1]
			return s.show(result(s.use().Connect(cmd.Context(), o)))
		},
	}
	cmd.Flags().StringSliceVar(&o.Aliases, "alias", nil, "a further `NAME` for it on the network")
	cmd.Flags().StringVar(&o.IPv4, "ip", "", "its IPv4 `ADDRESS` (default the lowest free)")
	cmd.Flags().StringVar(&o.IPv6, "ip6", "", "its IPv6 `ADDRESS`")
	return cmd
}
