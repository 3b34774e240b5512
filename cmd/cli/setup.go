package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
)

func (s *session) setup() *cobra.Command {
	var o app.SetupOptions
	cmd := &cobra.Command{
		Use:     "setup",
		GroupID: groupBuild,
		Short:   "Build networks and containers as Docker's daemon would, without one",
		Long: `Build networks and containers as Docker's daemon would, without one: bridges
with NAT, isolation, published ports and names; macvlan and overlay networks.
Without a file it builds the default bridge, netdoctor0, and one custom network.

The file is a strict subset of a Compose file, without image and build: containers
run a program of this host (command). A key that is not known is an error with its
line. Setting up again changes only what differs.`,
		Example: `  netdoctor setup
  netdoctor setup -f services.yaml --dry-run
  netdoctor setup --like 20.10
  netdoctor setup --check`,
		Args:              args(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := s.before(render.Formats()); err != nil {
				return err
			}
			if likes := []string{"", "20.10", "29-iptables", "29-nftables"}; !slices.Contains(likes, o.Like) {
				return s.choice("--like", o.Like, likes[1:])
			}
			if walls := []string{"", "iptables", "nftables"}; !slices.Contains(walls, o.Firewall) {
				return s.choice("--firewall", o.Firewall, walls[1:])
			}
			if o.Check && o.DryRun {
				return app.Usagef("--check and --dry-run exclude each other")
			}
			o.HostNS, o.Stdin = s.g.hostNS, s.env.Stdin
			return s.show(result(s.use().Setup(cmd.Context(), o)))
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.File, "file", "f", "", "what to build, a strict subset of a Compose `FILE`; - is stdin")
	f.BoolVar(&o.Check, "check", false, "say what is not as it was set up; exit 1 when something is not")
	f.BoolVar(&o.DryRun, "dry-run", false, "show the lines that a person would type; exit 4 when changes are pending")
	f.StringVar(&o.Like, "like", "", "write rules as `DOCKER` 20.10, 29-iptables, 29-nftables (default the host's)")
	f.StringVar(&o.Firewall, "firewall", "", "`KIND`: iptables or nftables")
	f.BoolVar(&o.NoProxy, "no-proxy", false, "published ports by rules alone, as with dockerd --userland-proxy=false")
	return cmd
}
