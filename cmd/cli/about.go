package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) explain() *cobra.Command {
	return &cobra.Command{
		Use:     "explain CODE",
		GroupID: groupFind,
		Short:   "Say why a finding happens, how to see it by hand, and how to mend it",
		Example: `  netdoctor explain ND3101`,
		Args:    args(1, 1, "a code, such as ND3101"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for i := range s.env.App.Checks {
				c := &s.env.App.Checks[i]
				out = append(out, string(c.Code)+"\t"+c.Title)
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, got []string) error {
			if _, err := s.before(render.Formats()); err != nil {
				return err
			}
			return s.show(result(s.use().Explain(got[0])))
		},
	}
}

func (s *session) capabilities() *cobra.Command {
	return &cobra.Command{
		Use:               "capabilities",
		GroupID:           groupOther,
		Short:             "Say what this program may do here, and what it cannot",
		Example:           `  netdoctor capabilities`,
		Args:              args(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			return s.ask(cmd, func(ctx context.Context) (v1.Result, error) { return result(s.use().Capabilities(ctx, c)) })
		},
	}
}

func (s *session) version() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		GroupID:           groupOther,
		Short:             "Say which version this is",
		Example:           `  netdoctor version -o wide`,
		Args:              args(0, 0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return s.sayVersion() },
	}
}

// sayVersion is what the command and the flag do.
func (s *session) sayVersion() error {
	if _, err := s.before(render.Formats()); err != nil {
		return err
	}
	return s.show(s.use().Version(), nil)
}
