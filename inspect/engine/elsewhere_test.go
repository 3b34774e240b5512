package engine

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// A socket forwarded from another machine: it answers, there is no dockerd
// here, and none of the containers is in this kernel.
func TestAForwardedSocketIsRemote(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.proc(fakeProc{pid: 1, comm: "init"})
	h.serve(docker2010(t))
	got := Read(t.Context(), h.options())
	if e := got.Engines[0]; !e.Remote || !strings.Contains(e.Error, "none of its 2 running containers") {
		t.Errorf("engine = %+v, want remote", e)
	}
}

// A dockerd of this kernel whose host is another network namespace: nothing that it
// made is missing here, and nothing is to be mended.
func TestADockerdOfAnotherNamespaceIsElsewhere(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.proc(fakeProc{pid: os.Getpid(), comm: "dockerd", net: hostNet + 50})
	h.serve(docker2010(t))
	got := Read(t.Context(), h.options())
	if e := got.Engines[0]; !e.Remote || !e.Reachable || !strings.Contains(e.Error, "another network namespace") {
		t.Errorf("engine = %+v, want one of another namespace", e)
	}
	if len(got.Containers)+len(got.Networks) > 0 {
		t.Errorf("it has %d containers and %d networks here", len(got.Containers), len(got.Networks))
	}
	if want := fmt.Sprintf("--host-ns %d", os.Getpid()); len(got.Gaps) == 0 || got.Gaps[len(got.Gaps)-1].Needs != want {
		t.Errorf("gaps %+v, want one that needs %s", got.Gaps, want)
	}
}

// The first thread of dockerd is in one of its sandboxes, where it asks a name server
// that does not answer.
func TestADockerdThatVisitsASandboxIsHere(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.proc(fakeProc{pid: os.Getpid(), comm: "dockerd", net: hostNet + 50})
	for task, net := range map[int]uint64{os.Getpid(): hostNet + 50, os.Getpid() + 1: hostNet} {
		dir := fmt.Sprintf("%s/proc/%d/task/%d/ns", h.root, os.Getpid(), task)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Symlink(fmt.Sprintf("net:[%d]", net), dir+"/net")); err != nil {
			t.Fatal(err)
		}
	}
	h.serve(docker2010(t))
	if got := Read(t.Context(), h.options()); got.Engines[0].Remote || len(got.Networks) == 0 {
		t.Errorf("engine = %+v, want one of this host", got.Engines[0])
	}
}

// A dockerd that is ending has no namespaces any more: it is nobody's daemon.
func TestADockerdThatEndsIsNone(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	h.proc(fakeProc{pid: 800, ppid: 1, comm: "dockerd"})
	if err := os.Remove(h.root + "/proc/800/ns/net"); err != nil {
		t.Fatal(err)
	}
	if got := Read(t.Context(), h.options()); len(got.Engines)+len(got.Gaps) > 0 {
		t.Errorf("engines %+v, gaps %+v, want none", got.Engines, got.Gaps)
	}
}
