package lab

import (
	"fmt"
	"os"
)

// M runs a package's tests inside a lab's private namespaces; TestMain exits
// with what it gives. Where this machine makes none, the tests run outside, and
// New skips them, or fails with ND_LAB=require.
func M(m interface{ Run() int }) int {
	Child()
	if Inside() {
		return m.Run()
	}
	code, err := Rerun(os.Args[1:])
	if err == nil {
		return code
	}
	fmt.Fprintln(os.Stderr, "lab:", err)
	return m.Run()
}

// T is what New needs of a test.
type T interface {
	Helper()
	Fatal(args ...any)
	Skip(args ...any)
	Error(args ...any)
	Cleanup(func())
}
