package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) check() *cobra.Command {
	var audit bool
	var g again
	cmd := &cobra.Command{
		Use:     "check [TARGET...]",
		GroupID: groupFind,
		Short:   "Check the whole host, or some targets: quiet when healthy",
		Long: `Check every container, network, name and published port of this host, or
those that concern the given targets. What is wrong is listed with its cause,
the first one to repair first. A handful of marked packets is sent to prove it,
unless --no-probe says otherwise.

--audit looks for what is exposed, too: ports open to the world, ways between
networks or out of internal ones that must not be there (each pair is followed
through the rules, and a sample is tried), sockets and capabilities that give a
container more than it needs. Its findings are warnings or notes.

` + everyHelp + `

Formats: ` + strings.Join(ciFormats(), ", ") + `.`,
		Example: `  netdoctor check
  netdoctor check web net:app
  netdoctor check --audit
  netdoctor check --every 5s -o ndjson
  netdoctor check --snapshot host.ndsnap -o json`,
		ValidArgsFunction: s.complete(-1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.before(ciFormats())
			if err != nil {
				return err
			}
			a := s.use()
			return s.answer(cmd.Context(), &g, func(ctx context.Context) (v1.Result, error) {
				return result(a.Check(ctx, app.CheckOptions{Common: c, Targets: args, Audit: audit}))
			})
		},
	}
	g.flags(cmd.Flags())
	cmd.Flags().BoolVar(&audit, "audit", false, "look for what is exposed, too")
	return cmd
}

// ciFormats are those of check and test: a CI's own beside everybody's.
func ciFormats() []string { return append(render.Formats(), render.CIFormats()...) }

// result keeps a nil pointer from becoming an answer.
func result[T any, P interface {
	*T
	v1.Result
}](p P, err error) (v1.Result, error) {
	if p == nil {
		return nil, err
	}
	return p, err
}
