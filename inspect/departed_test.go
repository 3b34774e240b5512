package inspect

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestAContainerWhoseProcessEndedWhileItWasReadHasVanished(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, state string
		inode       uint64
		err         error
		want        string
	}{
		{"alive", "running", 7, nil, "running"},
		{"gone", "running", 0, &fs.PathError{Op: "stat", Err: fs.ErrNotExist}, "vanished"},
		{"its pid is another's", "running", 8, nil, "vanished"},
		{"not to be told", "running", 0, fs.ErrPermission, "running"},
		{"not supported", "paused", 0, errors.ErrUnsupported, "paused"},
		{"stopped before", "exited", 0, fs.ErrNotExist, "exited"},
	} {
		s := &snap.Snapshot{
			Netns:      []snap.Netns{{ID: "web", Inode: 7}},
			Containers: []snap.Container{{Name: "web", State: tt.state, PID: 42, Netns: "web"}, {Name: "no process", State: "running", Netns: "web"}},
		}
		departed(s, func(int) (uint64, error) { return tt.inode, tt.err })
		if got := s.Containers[0].State; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if got := s.Containers[1].State; got != "running" {
			t.Errorf("%s: one without a process is %s", tt.name, got)
		}
	}
}
