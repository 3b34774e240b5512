package inspect

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestAContainerWhoseProcessEndedWhileItWasReadHasVanished(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, state string
		inode       uint64
		err         error
		want        []int
	}{
		{"alive", "running", 7, nil, nil},
		{"gone", "running", 0, &fs.PathError{Op: "stat", Err: fs.ErrNotExist}, []int{0}},
		{"its pid is another's", "running", 8, nil, []int{0}},
		{"not to be told", "running", 0, fs.ErrPermission, nil},
		{"not supported", "paused", 0, errors.ErrUnsupported, nil},
		{"stopped before", "exited", 0, fs.ErrNotExist, nil},
	} {
		s := &snap.Snapshot{
			Netns:      []snap.Netns{{ID: "web", Inode: 7}},
			Containers: []snap.Container{{Name: "web", State: tt.state, PID: 42, Netns: "web"}, {Name: "no process", State: "running", Netns: "web"}},
		}
		if got := departed(s, func(int) (uint64, error) { return tt.inode, tt.err }); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
