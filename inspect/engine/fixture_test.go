package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestMain lets the test binary be the child that reads containers' files, and
// a container that hangs.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == ChildArg {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == hangArg {
		if err := hang(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// Numbers of namespaces in the fixtures.
const (
	hostNet = 4026531840
	webNet  = 4026532001
)

const (
	webID   = "4eb6491fce70184b2b6909dae252b84adf9f6f0e742a1de378090fe5b834dd49"
	plainID = "07e11523855b49c8e54bf8c302a6d59a9ab39770ffe4992b4831abc3b8fc491a"
)

// fakeHost is a root directory with a /proc of its own.
type fakeHost struct {
	t    *testing.T
	root string
}

func newFakeHost(t *testing.T) *fakeHost {
	t.Helper()
	root, err := os.MkdirTemp("", "nd") //nolint:usetesting // sockets have paths of 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	h := &fakeHost{t, root}
	h.link("/proc/thread-self/ns/net", fmt.Sprintf("net:[%d]", hostNet))
	return h
}

func (h *fakeHost) path(p string) string { return filepath.Join(h.root, p) }

func (h *fakeHost) file(path, content string) {
	h.t.Helper()
	p := h.path(path)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *fakeHost) link(path, target string) {
	h.t.Helper()
	p := h.path(path)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Symlink(target, p); err != nil {
		h.t.Fatal(err)
	}
}

// fakeProc is one process.
type fakeProc struct {
	pid, ppid int
	comm      string
	state     string // "" is S
	net       int    // 0 is the host's
	cgroup    string
	args      []string
	cwd       string
	mountinfo string
}

func (h *fakeHost) proc(p fakeProc) {
	h.t.Helper()
	if p.state == "" {
		p.state = "S"
	}
	if p.net == 0 {
		p.net = hostNet
	}
	dir := fmt.Sprintf("/proc/%d/", p.pid)
	h.file(dir+"stat", fmt.Sprintf("%d (%s) %s %d %s 7777 0 0\n", p.pid, p.comm, p.state, p.ppid, strings.TrimSpace(strings.Repeat("0 ", 17))))
	h.file(dir+"cgroup", p.cgroup)
	h.file(dir+"mountinfo", p.mountinfo)
	h.file(dir+"cmdline", strings.Join(p.args, "\x00")+"\x00")
	h.link(dir+"ns/net", fmt.Sprintf("net:[%d]", p.net))
	if p.cwd != "" {
		h.link(dir+"cwd", p.cwd)
	}
}

// container adds a shim and the first process of a container.
func (h *fakeHost) container(shimPID, pid int, namespace, id, bundle string, net int) {
	h.t.Helper()
	h.proc(fakeProc{
		pid: shimPID, ppid: 1, comm: "containerd-shim", cwd: bundle,
		args: []string{"/usr/bin/containerd-shim-runc-v2", "-namespace", namespace, "-id", id, "-address", "/run/containerd/containerd.sock"},
	})
	h.proc(fakeProc{pid: pid, ppid: shimPID, comm: "httpd", net: net, cgroup: "0::/docker/" + id + "\n", args: []string{"httpd", "-f"}})
}

// options looks at the fake host with an empty environment.
func (h *fakeHost) options() Options {
	return Options{Root: h.root, Env: func(string) string { return "" }, Runtime: Docker}
}

// gapKinds are the kinds of the gaps with what they are about.
func gapKinds(gaps []snap.Gap) []string {
	out := []string{}
	for _, g := range gaps {
		out = append(out, g.What+": "+g.Kind)
	}
	return out
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
