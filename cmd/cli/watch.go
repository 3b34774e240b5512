package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) watch() *cobra.Command {
	var o app.WatchOptions
	cmd := &cobra.Command{
		Use:     "watch",
		GroupID: groupFind,
		Short:   "Tell of drops and changes as they happen",
		Long: `Tell of each packet that the kernel drops in the namespaces of this host: whose
it is, the kernel's reason, and the rule where it can be told; and of links,
addresses, routes, rules and sysctls that change, with what they broke. The kernel
tells of changes at once, but not of iptables-legacy, sockets and some sysctls:
those are looked at every 30 s. Drops of one kind are one line a second; under a
flood it is a sample, and says so. It changes nothing, and costs nothing when it
stops.`,
		Example: `  netdoctor watch
  netdoctor watch -o ndjson --for 1m`,
		Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			formats := []string{"text", "ndjson"}
			c, err := s.before(formats)
			if err != nil {
				return err
			}
			st, err := s.style()
			if err != nil {
				return err
			}
			o.Common = c
			if o.For == 0 && cmd.Flags().Changed("timeout") { // its default is for those that answer once
				o.For = s.g.timeout
			}
			err = s.use().Watch(cmd.Context(), o, func(e *v1.WatchEvent) error {
				return render.Write(s.env.Stdout, e, s.g.output, st)
			})
			if errors.Is(err, context.Canceled) {
				s.exit = exitInterrupt
				return nil
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&o.Every, "every", 0, "how often to look for what the kernel does not tell of (default 30s)")
	cmd.Flags().DurationVar(&o.For, "for", 0, "how long; --timeout does, too, when it is given (default until interrupted)")
	return cmd
}
