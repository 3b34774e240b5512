package cli

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The groups of commands in the help.
const (
	groupFind  = "find"
	groupFix   = "fix"
	groupState = "state"
	groupBuild = "build"
	groupOther = "other"
)

// deadline is the default of --timeout: every run ends within it.
const deadline = 30 * time.Second

// common are the global flags that the help of each command shows; that of the program
// itself has them all.
var common = []string{"ipv4", "ipv6", "no-probe", "output", "quiet", "snapshot", "verbose"}

// root is the tree of commands.
func (s *session) root() *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "netdoctor",
		Short: "Say why a container can't reach or resolve something, prove it, and mend it",
		Long: `netdoctor says why a container can't reach or resolve something, proves it
with live packets, and mends it.

It reads every network namespace, device, route, firewall rule, socket,
container and network of this host once, and thinks about nothing but that.
Reading changes nothing.`,
		Example: `  netdoctor check
  netdoctor trace web db:5432
  netdoctor dns db --from web
  netdoctor fix --flow "web db:5432"`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return unknownCommand(cmd, args[0])
			case version:
				return s.sayVersion()
			}
			return cmd.Help()
		},
		CompletionOptions: cobra.CompletionOptions{},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			s.command = cmd
			return s.inside(cmd)
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(
		&cobra.Group{ID: groupFind, Title: "Find out:"},
		&cobra.Group{ID: groupFix, Title: "Mend:"},
		&cobra.Group{ID: groupBuild, Title: "Build networks:"},
		&cobra.Group{ID: groupState, Title: "See what there is:"},
		&cobra.Group{ID: groupOther, Title: "And:"},
	)
	s.flags(root.PersistentFlags())
	root.Flags().BoolVar(&version, "version", false, "say which version this is, as the command does")
	root.AddCommand(
		s.check(), s.trace(), s.dns(), s.probe(), s.watch(), s.test(),
		s.fix(), s.undo(),
		s.setup(), s.teardown(), s.run(), s.exec(), s.connect(), s.disconnect(), s.ps(),
		s.ls(), s.inspect(), s.snapshotCmd(), s.diff(),
		s.mapCmd(), s.report(),
		s.explain(), s.capabilities(), s.version(),
	)
	if s.env.Lab != nil {
		root.AddCommand(s.lab())
	}
	root.AddCommand(topics()...)
	root.SetHelpCommand(help(root))
	usage := root.UsageFunc()
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		if cmd == root {
			return usage(cmd)
		}
		root.PersistentFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = !slices.Contains(common, f.Name) })
		err := usage(cmd)
		cmd.Println("\nAll global flags: netdoctor --help")
		return err
	})
	root.SetCompletionCommandGroupID(groupOther)
	root.InitDefaultCompletionCmd(s.env.Args...)
	if c, _, err := root.Find([]string{"completion"}); err == nil && c != root {
		c.Example = "  source <(netdoctor completion bash)"
		c.RunE = parent
		c.Args = cobra.ArbitraryArgs
	}
	return root
}

// help is cobra's, but a word that is neither a command nor a topic is wrong
// usage, as everywhere.
func help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND|TOPIC]", GroupID: groupOther, Short: "Explain a command, or one of the topics below",
		Example: "  netdoctor help targets",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, c := range root.Commands() {
				out = append(out, c.Name()+"\t"+c.Short)
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, words []string) error {
			cmd, rest, err := root.Find(words)
			if err != nil || cmd == nil || len(rest) > 0 {
				return unknownCommand(cmp.Or(cmd, root), words[len(words)-max(len(rest), 1)])
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// flags are the global ones.
func (s *session) flags(f *pflag.FlagSet) {
	g := &s.g
	f.StringVarP(&g.output, "output", "o", "text", "`FORMAT`: "+strings.Join(render.Formats(), ", "))
	f.StringVar(&g.color, "color", "auto", "`WHEN` to colour: auto, always, never")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "findings only")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "also what was checked and passed, and all steps")
	f.BoolVar(&g.debug, "debug", false, "log to stderr what is done")
	f.DurationVar(&g.timeout, "timeout", deadline, "end within this time, whatever happens")
	f.StringVar(&g.runtime, "runtime", "", "ask only this `ENGINE`: docker, podman, containerd, cni (default all)")
	f.StringVar(&g.dockerHost, "docker-host", "", "Docker's `ENDPOINT` (default DOCKER_HOST, DOCKER_CONTEXT)")
	f.StringVar(&g.hostNS, "host-ns", "", "`PATH|PID` of the namespace that is the host (default our own)")
	f.Var(&files{g}, "snapshot", "think about the state in this `FILE` of netdoctor snapshot; - is stdin")
	f.BoolVarP(&g.four, "ipv4", "4", false, "IPv4 only")
	f.BoolVarP(&g.six, "ipv6", "6", false, "IPv6 only")
	f.BoolVar(&g.rootless, "rootless", false, "on this user's own host, in a user namespace: no root is needed")
	f.BoolVar(&g.noProbe, "no-probe", false, "predict only; send nothing")
	f.StringSliceVar(&g.observe, "observe", nil, "watch by `MEANS`: "+strings.Join(app.Observers(), "|"))
	f.StringVar(&g.failOn, "fail-on", "error", "exit 1 from `SEVERITY` on: error, warning, info")
}

// args checks the number of arguments.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, got []string) error {
		switch {
		case len(got) < least:
			return snap.Hint(app.Usagef("%s needs %s", cmd.CommandPath(), what), helpOf(cmd))
		case most >= 0 && len(got) > most:
			return snap.Hint(app.Usagef("%s takes no further argument: %q", cmd.CommandPath(), got[most]), helpOf(cmd))
		}
		return nil
	}
}

// parent runs a command that has only others below it.
func parent(cmd *cobra.Command, got []string) error {
	if len(got) == 0 {
		return cmd.Help()
	}
	return unknownCommand(cmd, got[0])
}

// unknownCommand is the error for a command that is not there.
func unknownCommand(cmd *cobra.Command, word string) error {
	var known []string
	for _, c := range cmd.Commands() {
		known = append(known, c.Name())
	}
	what := "command"
	if cmd.HasParent() {
		what = "command of " + cmd.CommandPath()
	}
	return app.Meant(app.Usagef("no %s is called %q", what, word), word, known, helpOf(cmd))
}

// flagError turns an error of the flag parser into wrong usage.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	var missing *pflag.NotExistError
	if errors.As(err, &missing) {
		var known []string
		add := func(f *pflag.Flag) { known = append(known, "--"+f.Name) }
		cmd.Flags().VisitAll(add)
		cmd.InheritedFlags().VisitAll(add)
		slices.Sort(known)
		if n := missing.GetSpecifiedName(); len(n) > 1 {
			return app.Meant(app.Usagef("no flag is called --%s", n), "--"+n, known, helpOf(cmd))
		}
	}
	hint := helpOf(cmd)
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) && wrong.GetFlag().Value.Type() == "duration" {
		hint = "a number and its unit, as 500ms, 30s or 2m"
	}
	return snap.Hint(app.Usagef("%v", err), hint)
}

// withUsage points to the help of a command.
func withUsage(cmd *cobra.Command, err error) error { return snap.Hint(err, helpOf(cmd)) }

// helpOf is how a command's help is asked for: the hint where nothing better is.
func helpOf(cmd *cobra.Command) string { return cmd.CommandPath() + " --help" }
