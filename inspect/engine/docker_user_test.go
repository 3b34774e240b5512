package engine

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rootlessHost is a host on which a user runs dockerd below RootlessKit, as this very
// process, and what it answers. Of its two containers one claims a process that is not
// in a user namespace of his.
func rootlessHost(t *testing.T, handler http.Handler) (*machine, *proc) {
	t.Helper()
	const kit, child, kitNet = 700, 701, webNet + 7
	h := newFakeHost(t)
	self, uid := os.Getpid(), os.Geteuid()+1000
	h.file("/etc/passwd", fmt.Sprintf("alice:x:%d:%[1]d::/home/alice:/bin/sh\n", uid))
	h.file("/proc/thread-self/mountinfo", "1 1 0:1 / / rw - ext4 /dev/vda rw\n")
	h.link("/proc/thread-self/ns/user", "user:[4026531837]")
	h.proc(fakeProc{pid: kit, ppid: 1, comm: "rootlesskit"})
	h.proc(fakeProc{pid: child, ppid: kit, comm: "rootlesskit", net: kitNet})
	h.proc(fakeProc{pid: self, ppid: child, comm: "dockerd", net: kitNet, args: []string{"dockerd", "-H", "unix:///var/run/docker.sock"}})
	h.container(900, webPID, "moby", webID, "", webNet)
	h.container(901, plainPID, "moby", plainID, "", webNet+1)
	h.link(fmt.Sprintf("/proc/%d/ns/user", webPID), "user:[4026532999]")
	h.link(fmt.Sprintf("/proc/%d/ns/user", plainPID), "user:[4026531837]")
	h.serve(handler)
	for _, dir := range []string{"", "/var", "/var/run", "/var/run/docker.sock"} { // to be asked with his powers
		if err := os.Chmod(h.path(dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := filepath.WalkDir(h.path("/proc"), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink != 0 {
			return err
		}
		return os.Chmod(p, 0o755)
	}); err != nil {
		t.Fatal(err)
	}
	m := newMachine(h.options())
	m.procs[self].uid = uid
	return m, m.procs[self]
}

// TestAUsersOwnDockerIsAnEngineOfItsOwn: with names of its own, and no path of his that
// somebody with other powers would read.
func TestAUsersOwnDockerIsAnEngineOfItsOwn(t *testing.T) {
	t.Parallel()
	m, p := rootlessHost(t, docker2010(t))
	if got := m.userDaemons(); len(got) != 1 || got[0] != p {
		t.Fatalf("daemons %+v", got)
	}
	r := m.readDockerOf(t.Context(), p)
	r.finish()
	e := r.Engines[0]
	if diff := cmp.Diff([]any{"docker@alice", true, true, p.pid, "docker-20"}, []any{e.Name, e.Rootless, e.Reachable, e.PID, e.Rules}); diff != "" {
		t.Errorf("engine (-want +got):\n%s\n%s", diff, e.Error)
	}
	var got []any
	for _, c := range r.Containers {
		got = append(got, c.Ref, c.PID, c.ResolvConfPath)
	}
	if diff := cmp.Diff([]any{"docker@alice:plain", 0, "", "docker@alice:web", webPID, ""}, got); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	for _, n := range r.Networks {
		if n.Engine != e.Name {
			t.Errorf("network %s is of %s", n.Name, n.Engine)
		}
	}
	if diff := cmp.Diff([]string{"container plain: unsupported"}, gapKinds(r.Gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

// TestNothingIsSaidToWhoIsNotTheUsersDocker: his socket may be a link to somebody else's.
func TestNothingIsSaidToWhoIsNotTheUsersDocker(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	m, p := rootlessHost(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	other := *p
	other.pid = 700
	r := m.readDockerOf(t.Context(), &other)
	if len(r.Engines) != 1 || r.Engines[0].Reachable || len(r.Gaps) != 1 || r.Gaps[0].Kind != "unsupported" || asked.Load() != 0 {
		t.Errorf("%d questions, %+v", asked.Load(), r)
	}
}

// TestAUsersDockerOfAnotherHostIsNotAsked: several hosts may share this kernel.
func TestAUsersDockerOfAnotherHostIsNotAsked(t *testing.T) {
	t.Parallel()
	m, _ := rootlessHost(t, docker2010(t))
	m.netns = hostNet + 1
	if got := m.userDaemons(); len(got) != 0 {
		t.Errorf("daemons %+v", got)
	}
}
