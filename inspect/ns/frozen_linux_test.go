package ns

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFreezers(t *testing.T) {
	f := findFreezers([]byte(`25 24 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
27 24 0:25 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
26 24 0:24 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`))
	if !f.hasOne || !f.hasTwo || f.one.Point != "/sys/fs/cgroup/freezer" || f.two.Point != "/sys/fs/cgroup/unified" {
		t.Errorf("%+v", f)
	}
}

// A process in a group of its own that is frozen, and thawed again.
func TestFrozen(t *testing.T) {
	mount, ok := FindCgroup2()
	dir := filepath.Join(mount.Point, "netdoctor-freeze-test")
	if !ok || os.Mkdir(dir, 0o755) != nil {
		t.Skip("no control group can be made here")
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	c := exec.CommandContext(t.Context(), "sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("0"), 0)
		_ = c.Process.Signal(unix.SIGKILL)
		_ = c.Wait()
	})
	write("cgroup.procs", strconv.Itoa(c.Process.Pid))
	p := &Procs{}
	if by := p.FrozenBy(c.Process.Pid); by != nil {
		t.Errorf("it is frozen before anybody did it: %v", by)
	}
	write("cgroup.freeze", "1")
	for end := time.Now().Add(10 * time.Second); ; {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
		if err != nil || time.Now().After(end) {
			t.Fatalf("the group does not freeze: %v %s", err, b)
		}
		if strings.Contains(string(b), "frozen 1") {
			break
		}
	}
	want := []string{filepath.Join(dir, "cgroup.freeze")}
	if by := p.FrozenBy(c.Process.Pid); !slices.Equal(by, want) {
		t.Errorf("frozen by %v, want %v", by, want)
	}
	if by := FrozenBy(1 << 22); by != nil {
		t.Errorf("a process that is not there is frozen by %v", by)
	}
}
