package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
)

// run starts a container of ours. (The file run.go is the run of the program.)
func (s *session) run() *cobra.Command {
	var o app.RunOptions
	cmd := &cobra.Command{
		Use:     "run [flags] COMMAND [ARG...]",
		GroupID: groupBuild,
		Short:   "Start a command in a container of its own on our networks",
		Long: `Start a command in network, mount, process and host name namespaces of its own,
on the networks that were set up. It sees this machine's files; its resolv.conf,
hosts and host name are its own. In the foreground its exit code is this
program's, and the container goes with it; with -d it stays.`,
		Example: `  netdoctor run --name client --network app sh -c 'curl -s http://web/'
  netdoctor run -d --name web -p 8080:80 python3 -m http.server 80`,
		Args:              args(1, -1, "a command"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, got []string) error {
			std, closeAll, err := s.std()
			if err != nil {
				return err
			}
			defer closeAll()
			o.HostNS, o.Command, o.Std = s.g.hostNS, got, std
			name, code, err := s.use().Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if o.Detach {
				fmt.Fprintln(s.env.Stdout, name) //nolint:errcheck // nobody is left to tell
			}
			s.exit = code
			return nil
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the command is its own
	f.BoolVarP(&o.Detach, "detach", "d", false, "leave it running, and print its name")
	f.StringVar(&o.Name, "name", "", "its `NAME` (default made up)")
	f.StringSliceVar(&o.Networks, "network", nil, "the `NETWORKS` it is on (default the first custom one)")
	f.StringSliceVar(&o.Aliases, "alias", nil, "a further `NAME` for it on its networks")
	f.StringSliceVarP(&o.Ports, "publish", "p", nil, "publish `[[IP:]HOSTPORT:]PORT`, with /udp or /sctp behind it")
	f.StringSliceVar(&o.DNS, "dns", nil, "name servers' `ADDRESSES` in place of the host's")
	f.StringSliceVar(&o.DNSSearch, "dns-search", nil, "search `DOMAINS` in place of the host's")
	f.StringSliceVar(&o.ExtraHosts, "add-host", nil, "a line for its hosts file: `NAME:ADDRESS`, or NAME:host-gateway")
	f.StringSliceVar(&o.Links, "link", nil, "a container that it knows by a further name: `CONTAINER:ALIAS`")
	f.StringArrayVarP(&o.Env, "env", "e", nil, "a variable for its environment: `K=V`")
	f.StringVar(&o.Hostname, "hostname", "", "its host `NAME` (default its id)")
	f.StringVar(&o.IPv4, "ip", "", "its IPv4 `ADDRESS` on the first network (default a free one)")
	f.StringVar(&o.Mode, "network-mode", "", "`MODE`: host, none, or container:NAME")
	return cmd
}

// std are this program's own streams as files, for a command.
func (s *session) std() (app.Std, func(), error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return app.Std{}, nil, err
	}
	file := func(v any) *os.File {
		if f, ok := v.(*os.File); ok {
			return f
		}
		return null
	}
	var in io.Reader = s.env.Stdin
	return app.Std{In: file(in), Out: file(s.env.Stdout), Err: file(s.env.Stderr)}, func() { _ = null.Close() }, nil
}
