package engine

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestAUsersOwnPodmanIsAnEngineOfItsOwn looks from within the user's namespace, as podman
// unshare does: he is root there, and his bridges are not in the host's namespace.
func TestAUsersOwnPodmanIsAnEngineOfItsOwn(t *testing.T) {
	t.Parallel()
	for uidMap, want := range map[string]string{
		"         0       1000          1\n         1     100000      65536\n": "podman@alice",
		"         0       1001          1\n":                                   "podman@1001",
		"         0          0 4294967295\n":                                   "podman",
	} {
		h := podHost(t)
		h.file("/proc/thread-self/uid_map", uidMap)
		h.file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")
		o := h.options()
		o.Runtime = Podman
		got := Read(t.Context(), o)
		if len(got.Engines) != 1 || len(got.Networks) != 1 || len(got.Containers) != 2 {
			t.Fatalf("%s: %d engines, %d networks, %d containers", want, len(got.Engines), len(got.Networks), len(got.Containers))
		}
		bridge := ""
		if want == Podman {
			bridge = "podman1"
		}
		e, n, c := got.Engines[0], got.Networks[0], got.Containers[1]
		have := []any{e.Name, e.Rootless, e.IPTables, n.Engine, n.Bridge, c.Ref, c.PID}
		if diff := cmp.Diff([]any{want, want != Podman, want == Podman, want, bridge, want + ":pweb", 22750}, have); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want, diff)
		}
	}
}

// TestAStrangersWordIsTakenOfHisOwnProcessesOnly: his files may name any process, but only
// what his own conmon started is his container.
func TestAStrangersWordIsTakenOfHisOwnProcessesOnly(t *testing.T) {
	t.Parallel()
	h := podHost(t)
	stranger := os.Geteuid() + 1000
	m := newMachine(h.options())
	r := &podmanRead{m: m, uid: stranger, e: snap.Engine{Name: "podman@eve"}, seen: map[string]*snap.Container{}}
	r.seen[pwebID] = &snap.Container{Engine: r.e.Name, ID: pwebID, Name: "pweb", State: "running", PID: 1}
	r.seen[pcliID] = &snap.Container{Engine: r.e.Name, ID: pcliID, Name: "pcli", State: "running", PID: 22750}
	r.watched(m.conmons())
	r.finish()
	if diff := cmp.Diff([]string{"pweb running pid=22750 ports=0", "pcli vanished pid=0 ports=0"}, states(r.res.Containers)); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}
