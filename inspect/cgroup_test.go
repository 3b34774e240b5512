package inspect

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/ns"
)

func TestWhoSendsFromANamespace(t *testing.T) {
	t.Parallel()
	list := []ns.Proc{
		{PID: 10, Name: "pause", Netns: 1, Start: 100},
		{PID: 11, Name: "app", Netns: 1, Start: 101},
		{PID: 12, Name: "app", Netns: 1, Start: 102},
		{PID: 20, Name: "journald", Netns: 2, Start: 201}, // pids came round
		{PID: 21, Name: "systemd", Netns: 2, Start: 200},
		{PID: 30, Name: "init", Netns: 3, Start: 300}, // its group can't be read
		{PID: 31, Name: "app", Netns: 3, Start: 301},
	}
	got := senders(list, []string{"/pod/pause", "/pod/app", "/pod/app", "/lxc/system.slice/journald", "/lxc/init.scope", "", "/c"})
	want := map[uint64][]string{1: {"/pod/pause", "/pod/app"}, 2: {"/lxc/init.scope"}, 3: {"/c"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
