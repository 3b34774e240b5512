package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/testenv/lab"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// inOwn says that this process is the one in which the scripts run.
const inOwn = "ND_TEST_OWN_SCRIPTS"

// inTurn runs scripts one after another: they share one host.
type inTurn struct{ *testing.T }

func (inTurn) Parallel()     {}
func (inTurn) Verbose() bool { return testing.Verbose() }
func (t inTurn) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { f(inTurn{t}) })
}

// program builds the program where everybody may run it.
func program(t *testing.T) string {
	t.Helper()
	labtest.Tools(t, "go")
	dir, err := os.MkdirTemp("", "netdoctor-bin-") //nolint:usetesting // t.TempDir is its owner's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", dir+"/netdoctor", ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

// TestOwnNetworksByHand types the commands of networks of our own, as root of a
// host that is made for it.
func TestOwnNetworksByHand(t *testing.T) {
	if os.Getenv(inOwn) == "" {
		labtest.Tools(t, "ip", "nft", "ping", "python3")
		t.Setenv(inOwn, program(t))
		args := []string{"-test.run=^TestOwnNetworksByHand$"}
		if testing.Verbose() {
			args = append(args, "-test.v")
		}
		code, err := lab.Rerun(args)
		if err != nil {
			labtest.Lacking(t, "a host for the scripts: %v", err)
		}
		if code != 0 {
			t.Errorf("the scripts ended with %d", code)
		}
		return
	}
	if err := privateRun(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	testscript.RunT(inTurn{t}, testscript.Params{
		Dir: "testdata/own",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", os.Getenv(inOwn)+":"+os.Getenv("PATH"))
			e.Setenv("LC_ALL", "C.UTF-8")
			e.Setenv("NETDOCTOR_JOURNAL", e.WorkDir+"/journal")
			e.Defer(func() {
				cmd := exec.Command(os.Getenv(inOwn)+"/netdoctor", "teardown")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("teardown: %v: %s", err, out)
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": func(ts *testscript.TestScript, _ bool, args []string) { labtest.Exits(ts, args) },
			// nothing fails when anything of ours is there.
			"nothing": func(ts *testscript.TestScript, neg bool, _ []string) {
				out, err := exec.Command("sh", "-c", `ip -br link | grep -v '^lo\|^uplink\|^beyond'; nft list ruleset; ls -A /run/netdoctor 2>/dev/null; cat /proc/sys/net/ipv4/ip_forward`).Output()
				if err != nil || (string(out) == "0\n") == neg {
					ts.Fatalf("%v; there is\n%s", err, out)
				}
			},
		},
	})
}

// privateRun gives this process a /run of its own.
func privateRun() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts of one's own: %w", err)
	}
	if err := unix.Mount("netdoctor", "/run", "tmpfs", 0, "size=64m"); err != nil {
		return fmt.Errorf("a /run of one's own: %w", err)
	}
	return nil
}

// nobody is the unprivileged user as which root's tests look at rootless hosts.
const nobody = 65534

// TestRootlessAsAnOrdinaryUser sets up, uses and takes away networks as a user
// who is nobody special: a test that runs as root becomes one.
func TestRootlessAsAnOrdinaryUser(t *testing.T) {
	labtest.Tools(t, "ping", "getent")
	bin := program(t)
	home, err := os.MkdirTemp("", "netdoctor-home-") //nolint:usetesting // t.TempDir is its owner's alone
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	uid := os.Getuid()
	attr := &syscall.SysProcAttr{}
	if uid == 0 {
		uid = nobody
		attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: false}
		if err := os.Chown(home, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	do := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bin+"/netdoctor", append([]string{"--rootless"}, args...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "LC_ALL=C.UTF-8"}
		cmd.Dir, cmd.SysProcAttr = home, attr
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	spec := filepath.Join(home, "two.yaml")
	if err := os.WriteFile(spec, []byte("services:\n  myservice: {networks: [app], scale: 2}\n  client: {networks: [app]}\nnetworks:\n  app: {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := do("setup", "-f", spec); code != 0 {
		if strings.Contains(out, "permitted") && !strings.Contains(out, "sysctl") {
			labtest.Lacking(t, "user namespaces for ordinary users: %s", out)
		}
		t.Fatalf("setup: %d, %s", code, out)
	}
	type step struct {
		args []string
		code int
		want string
	}
	steps := func(list ...step) {
		t.Helper()
		for _, c := range list {
			if out, code := do(c.args...); code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("%s: %d, %s\nwant %d and %q", strings.Join(c.args, " "), code, out, c.code, c.want)
			}
		}
	}
	steps([]step{
		{[]string{"ps"}, 0, "myservice-2"},
		{[]string{"exec", "client", "ping", "-c1", "-W2", "myservice-1"}, 0, "1 received"},
		{[]string{"exec", "client", "getent", "hosts", "tasks.myservice"}, 0, "172.17.0."},
		{[]string{"run", "--network", "app", "sh", "-c", "id -u; exit 7"}, 7, "0"},
		{[]string{"dns", "myservice", "--from", "client"}, 0, "172.17.0.2"},
		{[]string{"setup", "--check"}, 0, "as it was set up"},
		{[]string{"trace", "client", "myservice-1/icmp", "--no-probe"}, 0, "DELIVERED"},
	}...)
	// A helper that is gone is mended, and gone again when that is undone.
	for _, p := range processesOf(t, uid, bin) {
		pid, err := strconv.Atoi(filepath.Base(p))
		if args, e := os.ReadFile(p + "/cmdline"); err == nil && e == nil && strings.HasPrefix(string(args), "netdoctor:helper") {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
	}
	steps([]step{
		{[]string{"setup", "--check"}, 1, "has ended"},
		{[]string{"fix", "ND6103", "--yes"}, 0, "verified"},
		{[]string{"exec", "client", "getent", "hosts", "tasks.myservice"}, 0, "172.17.0."},
		{[]string{"undo"}, 0, "put back"},
		{[]string{"setup", "--check"}, 1, "has ended"},
		{[]string{"setup", "-f", spec}, 0, "nothing to change"},
		{[]string{"exec", "client", "getent", "hosts", "tasks.myservice"}, 0, "172.17.0."},
		{[]string{"teardown"}, 0, "removed everything"},
		{[]string{"ps"}, 0, "no containers"},
	}...)
	// The host ends by itself when nothing is set up and nobody asks.
	left := processesOf(t, uid, bin)
	for end := time.Now().Add(10 * time.Second); len(left) > 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		left = processesOf(t, uid, bin)
	}
	if len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
	if left, _ := filepath.Glob(home + "/netdoctor/*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// processesOf are the processes of a user that run a program below a directory.
func processesOf(t *testing.T, uid int, dir string) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range names {
		st, err := os.Stat(p)
		exe, err2 := os.Readlink(p + "/exe")
		if err != nil || err2 != nil {
			continue
		}
		if s, ok := st.Sys().(*syscall.Stat_t); ok && int(s.Uid) == uid && strings.HasPrefix(exe, dir) {
			out = append(out, p)
		}
	}
	return out
}
