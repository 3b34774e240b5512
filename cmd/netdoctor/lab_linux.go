package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/cli"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/fault"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// practice is the lab command's practice host.
type practice struct{}

func labs() cli.Lab { return practice{} }

// Do carries out one of the lab commands. For "demo" and "score" this program
// runs again in namespaces of its own, which are gone afterwards.
func (practice) Do(ctx context.Context, action string, args []string) (*v1.LabResult, error) {
	res := &v1.LabResult{Action: action, Lab: "default"}
	switch action {
	case "demo", "score":
		code, err := lab.Rerun([]string{"lab", action})
		if err == nil && code != 0 {
			err = fmt.Errorf("the %s ended with %d", action, code)
		}
		res.Lab = "private namespaces, gone now"
		return res, err
	case "faults":
		for _, f := range fault.All() {
			res.Items = append(res.Items, v1.Fact{Name: f.Name, Value: f.Title})
		}
		return res, nil
	case "up":
		pid, err := lab.Stay(ctx)
		if err != nil {
			return nil, err
		}
		in := lab.Enter(pid)
		res.Items = []v1.Fact{
			{Name: "process", Value: fmt.Sprint(pid)},
			{Name: "look", Value: in + " netdoctor check"},
			{Name: "break", Value: "netdoctor lab break random"},
			{Name: "mend", Value: in + " netdoctor fix"},
			{Name: "end", Value: "netdoctor lab down"},
		}
		return res, nil
	case "break":
		known := []string{"random"}
		for _, f := range fault.All() {
			known = append(known, f.Name)
		}
		if err := app.OneOf("fault", args[0], known); err != nil {
			return nil, snap.Hint(err, cmp.Or(snap.HintOf(err), "netdoctor lab faults lists them"))
		}
	}
	lines, err := lab.Tell(ctx, action, args...)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		res.Items = append(res.Items, v1.Fact{Name: action, Value: l})
	}
	return res, nil
}

// insideLab does what a process of a lab has to do; done is false in any other.
func insideLab(ctx context.Context) (code int, done bool) {
	testenv.Child()
	lab.Child()
	if !lab.Inside() || len(os.Args) < 3 || os.Args[1] != "lab" {
		return 0, false
	}
	var err error
	switch strings.Join(os.Args[2:], " ") {
	case "demo":
		err = lab.Demo(ctx, os.Stdout)
	case "score":
		err = lab.Score(ctx, os.Stdout)
	default:
		if os.Args[2] != "hold" || len(os.Args) != 4 {
			return 0, false
		}
		err = lab.Hold(ctx, os.Args[3])
	}
	if err != nil {
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
