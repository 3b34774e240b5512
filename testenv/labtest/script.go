package labtest

import (
	"errors"
	"fmt"

	"github.com/rogpeppe/go-internal/testscript"
)

// Exits is a script's command that runs another one and looks at its exit code:
// CODE COMMAND ARG...
func Exits(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("running: %v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, wanted %s\n%s", code, args[0], ts.ReadFile("stderr"))
	}
}
