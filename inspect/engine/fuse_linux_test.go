package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hangArg makes the test binary a container whose /etc never answers.
const hangArg = "--hang"

// hang mounts a FUSE file system on dir that takes requests and never answers
// them, in the mount namespace that it was started in, and says "ready".
func hang(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/fuse: %w", err)
	}
	opts := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := unix.Mount("hang", dir+"/etc", "fuse.hang", 0, opts); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	// One mount names the container's id, as an engine's do.
	if err := unix.Mount(dir+"/marker", dir+"/run/.containerenv", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting the marker: %w", err)
	}
	if err := unix.Chroot(dir); err != nil {
		return fmt.Errorf("changing the root: %w", err)
	}
	fmt.Println("ready")
	b := make([]byte, 1<<20)
	for { // requests are taken and never answered, INIT first
		if _, err := unix.Read(fd, b); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func TestAHungFUSEServerCostsASecond(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: a mount namespace with FUSE")
	}
	root := filepath.Join(t.TempDir(), webID)
	for _, d := range []string{"/etc", "/run"} {
		if err := os.MkdirAll(root+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"/marker", "/run/.containerenv"} {
		if err := os.WriteFile(root+f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe, hangArg, root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Skipf("no mount namespace here: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	b := make([]byte, 5)
	if n, err := out.Read(b); err != nil || string(b[:n]) != "ready" {
		t.Skipf("no FUSE here: %s", stderr.String())
	}
	start := time.Now()
	_, gaps := Resolvers(t.Context(), []snap.Container{{Ref: "docker:web", ID: webID, Name: "web", State: "running", PID: cmd.Process.Pid}}, Options{Child: []string{exe, ChildArg}})
	if len(gaps) == 0 || gaps[len(gaps)-1].Kind != "timeout" {
		t.Errorf("gaps = %v, want a timeout", gaps)
	}
	if d := time.Since(start); d > rootDeadline+5*time.Second {
		t.Errorf("took %v", d)
	}
}
