package lab

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// Named is what Alone needs of a test.
type Named interface {
	T
	Name() string
	Log(args ...any)
}

// Alone gives a test namespaces of its own: outside a lab it runs this one test
// of the binary again in new ones, reports its end as the test's, and says
// false; the caller returns then. Inside it says true.
func Alone(t Named) bool {
	t.Helper()
	if Inside() {
		return true
	}
	var parts []string
	for p := range strings.SplitSeq(t.Name(), "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(p)+"$")
	}
	args := []string{"-test.run=" + strings.Join(parts, "/"), "-test.count=1"}
	flag.Visit(func(f *flag.Flag) { // the test's own flags, not those of package testing
		if !strings.HasPrefix(f.Name, "test.") {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	var out bytes.Buffer
	cmd := command(args)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		t.Error(out.String())
	case os.Getenv("ND_LAB") == "require":
		t.Fatal("making private namespaces: " + err.Error())
	default:
		t.Skip("making private namespaces: " + err.Error())
	}
	return false
}
