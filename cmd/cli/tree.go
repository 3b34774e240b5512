package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
)

// Tree is the tree of commands, for what is generated from it: manual pages,
// completions, docs/commands. It is not to be run.
func Tree(a *app.App, lab Lab) *cobra.Command {
	s := &session{env: &Env{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }, App: a, Lab: lab}}
	return s.root()
}
