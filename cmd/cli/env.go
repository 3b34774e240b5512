// Package cli turns arguments into options, calls cmd/app, and hands the result
// to cmd/render. Errors, hints and exit codes are made in errors.go alone.
package cli

import (
	"context"
	"io"
	"time"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// Env is the world around one run.
type Env struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	App    *app.App
	// Lab is the practice host; nil: this binary has none, and no lab command.
	Lab Lab
	// Rootless runs this command line on this user's own host, which is made
	// first when begin says so; nil: this binary can't, or runs there already.
	Rootless func(ctx context.Context, args []string, begin bool) (int, error)
	// Grace is how long after the end of --timeout a reading command may still
	// take before it is left behind; 0 is one second.
	Grace time.Duration
}

// Lab builds, breaks and mends the practice host.
type Lab interface {
	// Do carries out "up", "down", "break", "heal", "faults", "score" or "demo".
	Do(ctx context.Context, action string, args []string) (*v1.LabResult, error)
}
