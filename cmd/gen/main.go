// Gen writes what follows from the tree of commands:
//
//	go run ./cmd/gen docs docs          docs/commands/*.md
//	go run ./cmd/gen man DIR            manual pages
//	go run ./cmd/gen completions DIR    for bash, zsh and fish
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/cli"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1) //nolint:forbidigo // this is a main
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: gen docs|man|completions DIR")
	}
	root := tree()
	files := map[string][]byte{}
	switch args[0] {
	case "docs":
		for name, text := range markdown(root) {
			files["commands/"+name] = text
		}
	case "man":
		files = manuals(root, app.Version)
	case "completions":
		for name, write := range map[string]func(*bytes.Buffer) error{
			"netdoctor.bash": func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
			"_netdoctor":     func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
			"netdoctor.fish": func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
		} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			files[name] = b.Bytes()
		}
	default:
		return fmt.Errorf("%q can't be generated", args[0])
	}
	for name, text := range files {
		path := filepath.Join(args[1], name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // documents are for everybody
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // documents are for everybody
			return err
		}
	}
	return nil
}

// noLab makes the lab's commands appear.
type noLab struct{ cli.Lab }

// Do builds nothing.
func (noLab) Do(context.Context, string, []string) (*v1.LabResult, error) {
	return nil, errors.New("not here")
}

func tree() *cobra.Command { return cli.Tree(app.New(), noLab{}) }

// walk visits the commands that a person may type, topics of the help, too.
func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	if cmd.Hidden || cmd.Name() == "help" {
		return
	}
	visit(cmd)
	for _, c := range cmd.Commands() {
		walk(c, visit)
	}
}
