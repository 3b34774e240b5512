package cli

import (
	"context"

	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/spf13/cobra"
)

// lab is the practice host; it is there when Env.Lab is.
func (s *session) lab() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lab",
		GroupID: groupOther,
		Short:   "A private practice host: build it, break it, let the doctor find it",
		Example: `  netdoctor lab up
  netdoctor lab break forward-policy-drop`,
		Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []struct {
		use, short string
		most       int
	}{
		{"up", "Build the practice host", 0},
		{"down", "Take it away", 0},
		{"break FAULT", "Break it in a named way", 1},
		{"heal [FAULT]", "Mend what break broke", 1},
		{"faults", "List the ways to break it", 0},
		{"score", "Let the doctor find every fault, and count", 0},
		{"demo", "Break, find, mend and show, step by step", 0},
	} {
		c := &cobra.Command{Use: sub.use, Short: sub.short, Args: args(least(sub.use), sub.most, "the name of a fault: netdoctor lab faults"), ValidArgsFunction: cobra.NoFileCompletions}
		c.RunE = func(cmd *cobra.Command, got []string) error {
			if err := s.before(render.Formats()); err != nil {
				return err
			}
			return s.show(s.doLab(cmd.Context(), cmd.Name(), got))
		}
		cmd.AddCommand(c)
	}
	return cmd
}

// least is the number of arguments that a usage line asks for.
func least(use string) int {
	if use == "break FAULT" {
		return 1
	}
	return 0
}

func (s *session) doLab(ctx context.Context, action string, got []string) (v1.Result, error) {
	return result(s.env.Lab.Do(ctx, action, got))
}
