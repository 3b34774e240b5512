package labtest

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
)

const envOwn = "ND_OWN_NETNS" // the name of the test that has the process's namespace to itself

// InOwnNetns runs the calling test again, in a process with a network namespace
// of its own, and returns false; in that process it returns true. args are
// handed on to the test binary. It needs root, and the tools.
func InOwnNetns(t *testing.T, args []string, tools ...string) bool {
	t.Helper()
	if os.Getenv(envOwn) == t.Name() {
		return true
	}
	if os.Getuid() != 0 {
		Lacking(t, "needs root for a network namespace of its own")
	}
	Tools(t, tools...)
	c := exec.CommandContext(t.Context(), "/proc/self/exe", append([]string{"-test.run=" + pattern(t.Name()), "-test.v"}, args...)...)
	c.Env = append(os.Environ(), envOwn+"="+t.Name())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("in its own namespace: %v\n%s", err, out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
	return false
}

// Netns makes a network namespace that ends with the test.
func Netns(t testing.TB) *ns.Handle {
	t.Helper()
	var h *ns.Handle
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread stays in the new namespace and ends
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			h, err = ns.Self()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		Lacking(t, "making a network namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}
