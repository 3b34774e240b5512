package ns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The test program itself is the process that lives in a namespace of its own:
// with this variable set it waits until its standard input ends.
const sleeperEnv = "ND_TEST_SLEEPER"

func TestMain(m *testing.M) {
	if name := os.Getenv(sleeperEnv); name != "" {
		if filepath.IsAbs(name) { // as dockerd does with its sandboxes
			if err := errors.Join(
				unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
				unix.Mount("/proc/self/ns/net", name, "", unix.MS_BIND, ""),
			); err != nil {
				os.Exit(1)
			}
		}
		_, _ = os.Stdout.WriteString("ready\n") // the test reads it, or has gone
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// cannot skips, or fails where the lab is required: labtest.Lacking, which
// imports this package.
func cannot(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("ND_LAB") == "require" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// sleeper starts a process in a new network namespace, which ends with the
// test or with stop.
func sleeper(t *testing.T) (pid int, stop func()) {
	t.Helper()
	return start(t, "1", unix.CLONE_NEWNET)
}

// start is sleeper with a name file, which is mounted in a mount namespace of
// its own.
func start(t *testing.T, name string, flags uintptr) (pid int, stop func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), sleeperEnv+"="+name)
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: flags}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cannot(t, err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		cannot(t, fmt.Errorf("helper process: %w", err))
	}
	stop = sync.OnceFunc(func() {
		_ = in.Close() // what makes it end
		_ = cmd.Wait() // its exit code does not matter
		runtime.Gosched()
	})
	t.Cleanup(stop)
	return cmd.Process.Pid, stop
}

func TestDiscoverFindsProcesses(t *testing.T) {
	pid, _ := sleeper(t)
	h, err := OpenPid(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	found, _, err := Discover(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if !found[0].Host || found[0].Inode != self.Inode() {
		t.Errorf("the host is %d, want %d first", found[0].Inode, self.Inode())
	}
	i := slices.IndexFunc(found, func(f Found) bool { return f.Inode == h.Inode() })
	if i < 0 {
		t.Fatalf("namespace %d of process %d was not found", h.Inode(), pid)
	}
	f := found[i]
	if !slices.Equal(f.Pids, []int{pid}) || f.Host || f.Path != "/proc/"+strconv.Itoa(pid)+"/ns/net" {
		t.Errorf("found %+v", f)
	}
	seen := map[uint64]bool{}
	for _, f := range found {
		if seen[f.Inode] {
			t.Errorf("namespace %d is there twice", f.Inode)
		}
		seen[f.Inode] = true
	}
	// The same, seen from there.
	found, _, err = Discover(t.Context(), Options{HostNS: strconv.Itoa(pid)})
	if err != nil {
		t.Fatal(err)
	}
	if found[0].Inode != h.Inode() || !found[0].Host {
		t.Errorf("host by pid: %+v", found[0])
	}
}

// A namespace that only an open descriptor keeps alive has no process and no file.
func TestDiscoverFindsHeldNamespaces(t *testing.T) {
	pid, stop := sleeper(t)
	h, err := OpenPid(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	stop()
	found, _, err := Discover(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(found, func(f Found) bool { return f.Inode == h.Inode() })
	if i < 0 {
		t.Fatal("not found")
	}
	again, err := found[i].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Inode() != h.Inode() {
		t.Errorf("opened %d, want %d", again.Inode(), h.Inode())
	}
}

// A forked process has the descriptor until it executes another program; then the
// one that holds it still is asked.
func TestDiscoverOutlivesForks(t *testing.T) {
	pid, stop := sleeper(t)
	defer stop()
	h, err := OpenPid(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	held := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.Fd())
	for _, paths := range [][]string{{"/proc/2147483647/fd/3", held}, {held, "/proc/2147483647/fd/3"}, {held}} {
		found, _, err := Discover(t.Context(), Options{Procs: &Procs{held: map[uint64][]string{h.Inode(): paths}}})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(found, func(f Found) bool { return f.Inode == h.Inode() })
		if i < 0 {
			t.Fatalf("%q: not found", paths)
		}
		again, err := found[i].Open()
		if err != nil {
			t.Errorf("%q: %v", paths, err)
			continue
		}
		_ = again.Close()
	}
}

func TestDiscoverFindsMountsOfOtherMountNamespaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a sandbox")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pid, _ := start(t, file, unix.CLONE_NEWNET|unix.CLONE_NEWNS)
	h, err := OpenPid(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	found, _, err := Discover(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(found, func(f Found) bool { return f.Inode == h.Inode() })
	if i < 0 || !slices.Equal(found[i].Mounts, []string{file}) || !slices.Equal(found[i].Names, []string{"a sandbox"}) {
		t.Fatalf("found %d: %+v", i, found)
	}
	below := 0
	for _, w := range found[i].ways {
		if w.kind == wayBelow {
			below++
		}
		got, err := w.open(h.Inode())
		if err != nil {
			t.Errorf("%s: %v", w, err)
			continue
		}
		_ = got.Close()
	}
	if below != 1 {
		t.Errorf("%d ways through the other mount namespace, want 1: %v", below, found[i].ways)
	}
}

func TestOpenNoticesReusedPids(t *testing.T) {
	pid, stop := sleeper(t)
	h, err := OpenPid(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	now, err := ReadProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	good := way{kind: wayPid, path: "/proc/" + strconv.Itoa(pid) + "/ns/net", pid: pid, start: now.Start}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	tests := []struct {
		name string
		want uint64
		w    way
		err  error
	}{
		{"the process that was meant", h.Inode(), good, nil},
		{"a descriptor that is a socket by now", h.Inode(), way{path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fds[0])}, snap.ErrVanished},
		{"another process with its pid", h.Inode(), way{kind: wayPid, path: good.path, pid: pid, start: now.Start + 1}, snap.ErrVanished},
		{"the process went to another namespace", h.Inode() + 1, good, snap.ErrVanished},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.w.open(tt.want)
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if err == nil {
				_ = got.Close()
			}
		})
	}
	stop()
	if _, err := OpenPid(pid); !errors.Is(err, snap.ErrNotFound) {
		t.Errorf("opening the namespace of an ended process: %v", err)
	}
}

func TestOpenRefusesWhatIsNoNamespace(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, plain, dir, "/proc/thread-self/ns/mnt", filepath.Join(dir, "none")} {
		if h, err := Open(path); err == nil {
			t.Errorf("%s was opened", path)
			_ = h.Close()
		}
	}
	// Below a foreign root nothing but a namespace file is really opened, and no
	// link leads out of that root.
	if err := os.Symlink("/proc/thread-self/ns/net", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/fifo", "/plain", "/out", "/../../../../proc/thread-self/ns/net"} {
		if h, err := openBelow(dir, path); err == nil {
			t.Errorf("%s below a foreign root was opened", path)
			_ = h.Close()
		}
	}
}

func TestTool(t *testing.T) {
	pid, _ := sleeper(t)
	h, err := OpenPid(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	sh := func(script string) Tool { return Tool{Name: "sh", Args: []string{"-c", script}} }

	t.Run("runs inside the namespace", func(t *testing.T) {
		out, err := Command(t.Context(), h, "readlink", "/proc/self/ns/net")
		if want := "net:[" + strconv.FormatUint(h.Inode(), 10) + "]\n"; err != nil || string(out) != want {
			t.Errorf("%q, %v; want %q", out, err, want)
		}
	})
	t.Run("has a clean environment", func(t *testing.T) {
		t.Setenv("ND_SECRET", "x")
		out, err := sh("env").Run(t.Context(), nil)
		if err != nil || bytes.Contains(out, []byte("ND_SECRET")) || !bytes.Contains(out, []byte("LC_ALL=C\n")) {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("reads its input", func(t *testing.T) {
		out, err := Tool{Name: "cat", Stdin: strings.NewReader("hello")}.Run(t.Context(), h)
		if err != nil || string(out) != "hello" {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("tells code and message of a failure", func(t *testing.T) {
		_, err := sh("echo no such table >&2; exit 3").Run(t.Context(), h)
		var te *ToolError
		if !errors.As(err, &te) || te.Code != 3 || te.Stderr != "no such table\n" {
			t.Errorf("%v", err)
		}
	})
	t.Run("is stopped at its deadline", func(t *testing.T) {
		tool := sh("exec sleep 60")
		tool.Timeout = 50 * time.Millisecond
		start := time.Now()
		if _, err := tool.Run(t.Context(), h); !errors.Is(err, snap.ErrTimeout) {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("took %s", d)
		}
	})
	t.Run("is stopped when it says too much", func(t *testing.T) {
		out, err := sh("exec yes").Run(t.Context(), h)
		if !errors.Is(err, snap.ErrLimit) || len(out) != toolOutput {
			t.Errorf("%d bytes, %v", len(out), err)
		}
	})
	t.Run("is missing", func(t *testing.T) {
		if _, err := Command(context.Background(), h, "no-such-program"); !errors.Is(err, snap.ErrTool) {
			t.Errorf("%v", err)
		}
	})
	t.Run("may be written by anybody", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tool")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Look(path); os.Geteuid() == 0 && !errors.Is(err, snap.ErrTool) {
			t.Errorf("%v", err)
		}
	})
}

func TestCapabilitiesNameWhatIsMissing(t *testing.T) {
	for _, c := range Capabilities() {
		if c.Name == "" || c.For == "" || c.Needs == "" || c.OK == (c.Why != "") {
			t.Errorf("%+v", c)
		}
	}
}
