package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) test() *cobra.Command {
	var o app.TestOptions
	var generate bool
	var compose string
	var g again
	cmd := &cobra.Command{
		Use:     "test -f EXPECT.yaml",
		GroupID: groupFind,
		Short:   "Hold this host against what must and must not work, for CI",
		Long: `Hold this host against a file that says what must and must not be reachable
and resolvable. How to write one: netdoctor help expectations; --generate writes
one from the networks, containers and published ports of this host, or from a
compose file without looking at any host.

` + everyHelp + `

Formats: ` + strings.Join(ciFormats(), ", ") + `.`,
		Example: `  netdoctor test --generate > EXPECT.yaml
  netdoctor test --generate --compose compose.yaml > EXPECT.yaml
  netdoctor test -f EXPECT.yaml --wait 30s -o junit > junit.xml
  netdoctor test -f EXPECT.yaml --tags 'published,!egress'`,
		Args:              args(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.before(ciFormats())
			if err != nil {
				return err
			}
			o.Common = c
			a := s.use()
			switch {
			case generate && (o.File != "" || s.g.output != "text"):
				return app.Usagef("--generate writes YAML and takes neither -f nor -o")
			case generate && g.every != 0:
				return app.Usagef("--generate writes once")
			case generate:
				_, err := s.reading(cmd.Context(), func(ctx context.Context) (v1.Result, error) {
					write := a.Generate
					if compose != "" {
						write = func(_ context.Context, c app.Common) ([]byte, error) { return a.GenerateCompose(c, compose) }
					}
					out, err := write(ctx, c)
					if err == nil {
						_, err = s.env.Stdout.Write(out)
					}
					return nil, err
				})
				return err
			case compose != "":
				return app.Usagef("--compose is what --generate reads")
			case o.File == "":
				return withUsage(cmd, app.Usagef("netdoctor test needs -f with a file of expectations"))
			case o.Wait < 0:
				return app.Usagef("--wait %s is no time to wait", o.Wait)
			}
			// The time to wait is on top of the time for one look.
			s.g.timeout += o.Wait
			return s.answer(cmd.Context(), &g, func(ctx context.Context) (v1.Result, error) { return result(a.Test(ctx, o)) })
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.File, "file", "f", "", "the `FILE` of expectations; - is stdin")
	f.BoolVar(&generate, "generate", false, "write expectations from what there is to stdout")
	g.flags(f)
	f.StringVar(&compose, "compose", "", "with --generate: from this compose `FILE`, not from the host")
	f.DurationVar(&o.Wait, "wait", 0, "look again until everything is as expected, for so long at most")
	f.DurationVar(&o.Pause, "interval", time.Second, "time between two looks")
	f.StringSliceVar(&o.Tags, "tags", nil, "only expectations with one of these `TAGS`; !TAG leaves out")
	f.StringVar(&o.Bundle, "bundle-on-failure", "", "write the state into `FILE` when an expectation fails")
	return cmd
}
