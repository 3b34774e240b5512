package testenv_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/lab"
	"github.com/netdoctor/netdoctor/testenv/serve"
)

func init() { runtime.LockOSThread() }

// TestMain runs everything in namespaces of its own, with a /run of its own.
func TestMain(m *testing.M) {
	testenv.Child()
	if len(os.Args) > 4 && os.Args[1] == "act" {
		act()
		os.Exit(0)
	}
	if len(os.Args) > 3 && os.Args[1] == "act2" {
		if _, err := (&testenv.Host{}).Attach(context.Background(), os.Args[3], testenv.AttachOptions{Network: "two"}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 2 && os.Args[1] == "serve" { // a container's command
		fmt.Fprintln(os.Stderr, serve.Forever(os.Args[2:]))
		os.Exit(1)
	}
	if !lab.Inside() {
		code, err := lab.Rerun(os.Args[1:])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			if os.Getenv("ND_LAB") != "require" {
				code = 0
			} else {
				code = 1
			}
		}
		os.Exit(code)
	}
	if err := private(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func private() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("netdoctor", "/run", "tmpfs", 0, "size=64m")
}
