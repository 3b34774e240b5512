package cli

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func (s *session) fix() *cobra.Command {
	var yes, dry bool
	var flow string
	var target []string
	cmd := &cobra.Command{
		Use:     "fix [CODE|TARGET...]",
		GroupID: groupFix,
		Short:   "Plan, confirm, apply and verify what mends the findings",
		Long: `Mend what check finds: the plan is shown and confirmed, every step is written
to a journal before it is made, then the host is read, checked and probed
again. What did not help is put back, and what came to light by it, and still
stops the same flows, is planned next. netdoctor undo takes it all back later.`,
		Example: `  netdoctor fix --dry-run
  netdoctor fix ND3204
  netdoctor fix web --yes
  netdoctor fix --flow "web db:5432"    what check finds, and this flow too`,
		ValidArgsFunction: s.complete(-1),
		RunE: func(cmd *cobra.Command, got []string) error {
			c, err := s.before(render.Formats())
			if err != nil {
				return err
			}
			o := app.FixOptions{Common: c, Want: got, Target: target, Flow: flow, DryRun: dry, Yes: yes}
			if terminal(s.env.Stdin) != nil && terminal(s.env.Stderr) != nil {
				o.Confirm = s.confirm
			}
			// No watchdog: a change under way is finished or taken back.
			return s.show(s.use().Fix(cmd.Context(), o))
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "don't ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show the plan as shell lines and what it would do; exit 4 if there is any")
	cmd.Flags().StringVar(&flow, "flow", "", "`\"SRC DST\"` must work, too, or SRC resolve a name: \"SRC ? NAME [TYPE]\"")
	cmd.Flags().StringSliceVar(&target, "target", nil, "only what concerns these `TARGETS`")
	return cmd
}

// confirm shows the plan on the terminal and asks.
func (s *session) confirm(p *v1.FixPlan) (bool, error) {
	st, err := s.style()
	if err != nil {
		return false, err
	}
	if err := render.Write(s.env.Stderr, p, "text", st); err != nil {
		return false, err
	}
	fmt.Fprint(s.env.Stderr, "\nmake these changes? [y/N] ") //nolint:errcheck // a terminal
	line, err := bufio.NewReader(s.env.Stdin).ReadString('\n')
	if err != nil {
		return false, nil //nolint:nilerr // no answer is no
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
