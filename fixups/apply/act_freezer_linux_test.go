package apply

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// A control group is thawed and frozen again, and nothing that is no such file is written.
func TestFreezer(t *testing.T) {
	mount, ok := ns.FindCgroup2()
	dir := filepath.Join(mount.Point, "netdoctor-thaw-test")
	if !ok || os.Mkdir(dir, 0o755) != nil {
		t.Skip("no control group can be made here")
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	c := exec.CommandContext(t.Context(), "sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	f := fixups.Freezer{File: filepath.Join(dir, "cgroup.freeze"), Procs: []fixups.Proc{{PID: c.Process.Pid, Name: "sleep"}}}
	m := &machine{}
	t.Cleanup(func() {
		_ = os.WriteFile(f.File, []byte("0"), 0)
		_ = c.Process.Signal(unix.SIGKILL)
		_ = c.Wait()
	})
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(c.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	for _, frozen := range []bool{true, false, true} {
		if err := m.freezer(t.Context(), f, frozen); err != nil {
			t.Fatalf("frozen %v: %v", frozen, err)
		}
		s := &snap.Snapshot{}
		if err := m.lookFreezer(s, f); err != nil {
			t.Fatal(err)
		}
		if p := s.Containers[0].Process; p.Frozen != frozen || slices.Contains(p.FrozenBy, f.File) != frozen {
			t.Errorf("told to be frozen %v, it is %+v", frozen, p)
		}
	}
	other := f
	other.File = filepath.Join(t.TempDir(), "cgroup.freeze")
	if err := os.WriteFile(other.File, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.freezer(t.Context(), other, false); !errors.Is(err, snap.ErrUnsupported) {
		t.Errorf("a file of no control group: %v", err)
	}
	other = f
	other.Procs = []fixups.Proc{{PID: c.Process.Pid, Name: "another"}}
	if err := m.freezer(t.Context(), other, false); !errors.Is(err, ErrChanged) {
		t.Errorf("another process: %v", err)
	}
}
