package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/netdoctor/netdoctor/cmd/cli"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// practice is the lab command's practice host.
type practice struct{}

func labs() cli.Lab { return practice{} }

// Do carries out "demo": this program runs again in namespaces of its own, and
// tells the story there.
func (practice) Do(_ context.Context, action string, _ []string) (*v1.LabResult, error) {
	code, err := lab.Rerun([]string{"lab", "demo"})
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("the demo ended with %d", code)
	}
	return &v1.LabResult{Action: action, Lab: "private namespaces, gone now"}, nil
}

// insideLab does what a process of a lab has to do; done is false in any other.
func insideLab(ctx context.Context) (code int, done bool) {
	testenv.Child()
	lab.Child()
	if !lab.Inside() || !slices.Equal(os.Args[1:], []string{"lab", "demo"}) {
		return 0, false
	}
	if err := lab.Demo(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "netdoctor: error:", err)
		return 1, true
	}
	return 0, true
}

// rootless runs a command line on this user's own host; nil when this program
// runs there already.
func rootless() func(context.Context, []string, bool) (int, error) {
	if os.Getenv(testenv.InsideEnv) != "" {
		return nil
	}
	return func(ctx context.Context, args []string, begin bool) (int, error) {
		return testenv.Rootless(ctx, args, begin, [3]*os.File{os.Stdin, os.Stdout, os.Stderr})
	}
}
