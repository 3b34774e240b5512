package dockerd

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/cli"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/testenv/lab"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// envDir is set in the process that lives with dockerd: where its files go.
const envDir = "ND_DOCKERD_DIR"

// deadline is for all of one test; the slowest machine seen took a third.
const deadline = 300 * time.Second

// As in main: a goroutine that enters a namespace must not end the main thread's.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == engine.ChildArg { // reads container files
		if err := engine.Serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	lab.Child()
	os.Exit(m.Run())
}

// alone runs the test again as the first process of new network, mount and pid
// namespaces: when it ends, however it ends, the kernel ends dockerd, containerd
// and the containers with it. What they leave in files and control groups is
// removed here. False: it was run, the caller returns.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envDir) != "" {
		return true
	}
	if os.Getuid() != 0 {
		labtest.Lacking(t, "dockerd needs root")
	}
	labtest.Tools(t, "dockerd", "docker", "containerd", "runc", "busybox", "iptables", "ip", "nft", "nsenter")
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), envDir+"="+dir, "ND_LAB_INSIDE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	out, err := cmd.CombinedOutput()
	forgetGroups(t, filepath.Base(filepath.Dir(dir)))
	switch {
	case err != nil:
		t.Fatalf("%v\n%s\n%s", err, out, logOf(dir))
	case bytes.Contains(out, []byte("--- SKIP")):
		labtest.Lacking(t, "%s", out)
	case testing.Verbose():
		t.Logf("%s", out)
	}
	return false
}

// forgetGroups removes the control groups that containers were in.
func forgetGroups(t *testing.T, name string) {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		all, err := filepath.Glob(pattern + name)
		if err != nil {
			t.Error(err)
		}
		for _, g := range all {
			subs, _ := filepath.Glob(g + "/*/")
			for _, s := range append(subs, g) {
				if err := unix.Rmdir(s); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("removing %s: %v", s, err)
				}
			}
		}
	}
}

func logOf(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "dockerd.log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// host is a machine with a running dockerd.
type host struct {
	t    *testing.T
	dir  string
	sock string
}

// start makes the world around the host, and starts dockerd in it.
func start(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, dir: os.Getenv(envDir)}
	h.sock = filepath.Join(h.dir, "docker.sock")
	for _, m := range []struct {
		what, where, kind string
		flags             uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	} {
		if err := unix.Mount(m.what, m.where, m.kind, m.flags, ""); err != nil {
			t.Fatalf("mounting %s: %v", m.where, err)
		}
	}
	h.sysfs()
	lab.New(t, lab.Spec{})
	for _, key := range []string{"all", "default"} { // duplicates are looked for for a second: a state that is still moving
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+key+"/accept_dad", []byte("0"), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(h.dir, "dockerd.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dockerd", "--data-root", h.dir+"/data", "--exec-root", h.dir+"/exec", "--pidfile", h.dir+"/pid",
		"--host", "unix://"+h.sock, "--config-file", h.dir+"/none.json", "--cgroup-parent", "/"+filepath.Base(filepath.Dir(h.dir)))
	if err := os.WriteFile(h.dir+"/none.json", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Error("dockerd does not end")
		}
	})
	t.Setenv("DOCKER_HOST", "unix://"+h.sock)
	t.Setenv("NETDOCTOR_JOURNAL", h.dir+"/journal")
	for until := time.Now().Add(40 * time.Second); ; {
		if _, err := h.try("docker", "version"); err == nil {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("dockerd ended: %v", err)
		default:
		}
		if time.Now().After(until) {
			t.Fatal("dockerd does not answer")
		}
	}
	h.containers()
	return h
}

// sysfs shows this namespace's devices in /sys, with the control groups that
// were there.
func (h *host) sysfs() {
	h.t.Helper()
	at := filepath.Join(h.dir, "sys")
	for _, f := range []func() error{
		func() error { return os.Mkdir(at, 0o700) },
		func() error { return unix.Mount("sysfs", at, "sysfs", 0, "") },
		func() error { return unix.Mount("/sys/fs/cgroup", at+"/fs/cgroup", "", unix.MS_BIND|unix.MS_REC, "") },
		func() error { return unix.Mount(at, "/sys", "", unix.MS_MOVE, "") },
	} {
		if err := f(); err != nil {
			h.t.Fatalf("a /sys of its own: %v", err)
		}
	}
}

// containers makes an image of a static busybox, a network, and two containers.
func (h *host) containers() {
	h.t.Helper()
	cmd := exec.Command("docker", "import", "-", "practice")
	cmd.Stdin = bytes.NewReader(h.image())
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("docker import: %v\n%s", err, out)
	}
	h.run("docker", "network", "create", "--subnet", "172.30.1.0/24", "-o", "com.docker.network.bridge.name=br-app", "app")
	h.run("docker", "run", "-d", "--init=false", "--name", "client", "--network", "app", "practice", "/bin/busybox", "sleep", "3600")
	h.run("docker", "run", "-d", "--init=false", "--name", "web", "--network", "app", "-p", "8080:80", "practice", "/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/")
}

// image is a root file system with nothing but busybox.
func (h *host) image() []byte {
	h.t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, d := range []string{"bin/", "etc/", "proc/", "sys/", "dev/", "tmp/"} {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: d, Mode: 0o755}))
	}
	err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755, Size: int64(len(b))}))
	_, wrote := w.Write(b)
	if err = errors.Join(err, wrote, w.Close()); err != nil {
		h.t.Fatal(err)
	}
	return out.Bytes()
}

func (h *host) try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// run runs a program; its failure is the test's.
func (h *host) run(name string, args ...string) string {
	h.t.Helper()
	out, err := h.try(name, args...)
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// answer is what the tests read of a result's JSON.
type answer struct {
	Verdict  string `json:"verdict"`
	Findings []struct {
		Code     string `json:"code"`
		Severity string `json:"severity"`
		Summary  string `json:"summary"`
	} `json:"findings"`
	Verified    bool   `json:"verified"`
	Transaction string `json:"transaction"`
	Error       string `json:"error"`
}

// netdoctor runs the program's command line.
func (h *host) netdoctor(want int, args ...string) (answer, string) {
	h.t.Helper()
	var out, errs bytes.Buffer
	code := cli.Run(h.t.Context(), &cli.Env{
		Args: append(args, "-o", "json"), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: os.Getenv, App: app.New(),
	})
	text := out.String() + errs.String()
	if code != want {
		h.t.Fatalf("netdoctor %s: exit code %d, wanted %d\n%s", strings.Join(args, " "), code, want, text)
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		h.t.Fatalf("netdoctor %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return a, text
}

// state is what a change may touch, in the words of the host's own tools: byte
// for byte, but for counters, and handles, which no tool can give back.
func (h *host) state() string {
	h.t.Helper()
	web := h.run("docker", "inspect", "-f", "{{.State.Pid}}", "web")
	var b strings.Builder
	for _, in := range [][]string{nil, {"nsenter", "-t", web, "-n"}} {
		h.assigned(in)
		for _, c := range []string{
			"iptables-save -t filter", "iptables-save -t nat", "iptables-save -t raw", "ip -o link", "ip -o addr", "ip route show table all",
			"ip rule", "bridge link", "ip neigh show nud permanent",
			"cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter",
		} {
			words := append(append([]string{}, in...), strings.Fields(c)...)
			fmt.Fprintf(&b, "# %s\n%s\n", strings.Join(words, " "), steady(h.run(words[0], words[1:]...)))
		}
	}
	return b.String()
}

// assigned waits until IPv6 addresses are no more tentative: the kernel looks for
// duplicates for a second, and their local routes come after that
// (net/ipv6/addrconf.c: addrconf_dad_completed). One that stays is part of the state.
func (h *host) assigned(in []string) {
	h.t.Helper()
	words := append(append([]string{}, in...), "ip", "-o", "addr", "show", "tentative")
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); {
		if h.run(words[0], words[1:]...) == "" {
			return
		}
	}
}

// steady drops counters and the times that iptables-save writes.
func steady(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if i := strings.LastIndex(line, " ["); strings.HasPrefix(line, ":") && i > 0 {
			line = line[:i] + "\n"
		}
		out = append(out, line)
	}
	return strings.Join(out, "")
}
