package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

type noLab struct{}

func (noLab) Do(context.Context, string, []string) (*v1.LabResult, error) { return nil, nil }

func tree() *cobra.Command { return Tree(app.New(), noLab{}) }

// TestHelpOfEveryCommand: each says what it is for in one line, has a real
// example, and the example's arguments are ones that it takes.
func TestHelpOfEveryCommand(t *testing.T) {
	t.Parallel()
	var walk func(*cobra.Command)
	seen := 0
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			walk(c)
		}
		if !cmd.Runnable() || cmd.Name() == "help" || cmd.Parent() != nil && cmd.Parent().Name() == "completion" {
			return
		}
		seen++
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short help %q", cmd.CommandPath(), cmd.Short)
		}
		example := cmd.Example
		if example == "" && cmd.Parent().HasParent() {
			example = cmd.Parent().Example // a noun's example may stand for its verbs
		}
		if example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.SplitSeq(example, "\n") {
			line, _, _ = strings.Cut(line, " < ")
			line, _, _ = strings.Cut(line, " > ")
			words := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "source <("), ")"))
			if len(words) == 0 || words[0] != "netdoctor" {
				t.Errorf("%s: example %q does not begin with netdoctor", cmd.CommandPath(), line)
				continue
			}
			root := tree()
			c, rest, err := root.Find(unquote(words[1:]))
			if err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
				continue
			}
			if err := c.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
			} else if err := c.ValidateArgs(c.Flags().Args()); err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
			}
		}
	}
	walk(tree())
	if seen < 12 {
		t.Errorf("only %d commands were looked at", seen)
	}
}

// unquote joins what stands in double quotes, as a shell does.
func unquote(words []string) []string {
	var out []string
	open := false
	for _, w := range words {
		t := strings.ReplaceAll(w, `"`, "")
		if open {
			out[len(out)-1] += " " + t
		} else {
			out = append(out, t)
		}
		if strings.Count(w, `"`)%2 == 1 {
			open = !open
		}
	}
	return out
}
