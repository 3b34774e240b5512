package kernel

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inOwnNetns runs the calling test again in a process with a network namespace
// of its own and returns false; in that process it returns true. Where that is
// not allowed, or a tool is missing, it skips, or fails with ND_LAB=require.
func inOwnNetns(t *testing.T, tools ...string) bool {
	t.Helper()
	const env = "ND_OWN_NETNS"
	if os.Getenv(env) == t.Name() {
		return true
	}
	skip := t.Skipf
	if os.Getenv("ND_LAB") == "require" {
		skip = t.Fatalf
	}
	if os.Getuid() != 0 {
		skip("needs root for a network namespace of its own")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			skip("needs %s: %v", tool, err)
		}
	}
	c := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
	c.Env = append(os.Environ(), env+"="+t.Name())
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("in its own namespace: %v\n%s", err, out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
	return false
}
