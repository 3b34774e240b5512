package lab

import (
	"context"
	"os"
)

// New builds a lab that ends with the test. A test binary has one at a time:
// the namespaces are those of its process.
func New(t T, spec Spec) *Lab {
	t.Helper()
	if !Inside() {
		if os.Getenv("ND_LAB") == "require" {
			t.Fatal("this machine makes no private namespaces")
		}
		t.Skip("this machine makes no private namespaces")
	}
	l, err := Up(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	return l
}
