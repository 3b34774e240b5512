package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// lab is the practice host; it is there when Env.Lab is.
func (s *session) lab() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lab",
		GroupID: groupOther,
		Short:   "A private practice host: build it, break it, let the doctor find it",
		Example: `  netdoctor lab demo`,
		RunE:    parent,
	}
	for _, sub := range []struct {
		use, short  string
		least, most int
	}{
		{"demo", "Break, find, mend and show, step by step", 0, 0},
		{"up", "Build a practice host that stays", 0, 0},
		{"break FAULT|random [CONTAINER]", "Break it in a named way", 1, 2},
		{"heal", "Take back what was broken", 0, 0},
		{"down", "Take the practice host away", 0, 0},
		{"faults", "The ways in which it can be broken", 0, 0},
		{"score", "Break a private one in every way, and see what is found and mended", 0, 0},
	} {
		c := &cobra.Command{Use: sub.use, Short: sub.short, Args: args(sub.least, sub.most, "the name of a fault: netdoctor lab faults"), ValidArgsFunction: cobra.NoFileCompletions}
		c.RunE = func(cmd *cobra.Command, got []string) error {
			formats := render.Formats()
			if name := cmd.Name(); name == "demo" || name == "score" {
				formats = formats[:1] // they tell of each step as it is done
			}
			if _, err := s.before(formats); err != nil {
				return err
			}
			return s.show(s.doLab(cmd.Context(), cmd.Name(), got))
		}
		cmd.AddCommand(c)
	}
	return cmd
}

func (s *session) doLab(ctx context.Context, action string, got []string) (v1.Result, error) {
	return result(s.use().Lab(func() (*v1.LabResult, error) { return s.env.Lab.Do(ctx, action, got) }))
}
