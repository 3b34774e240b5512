package ns

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestANameThatAnotherMountHidesIsNoWay: the namespace keeps its name, and is opened by
// another way.
func TestANameThatAnotherMountHidesIsNoWay(t *testing.T) {
	t.Parallel()
	h, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	hidden := filepath.Join(t.TempDir(), "blue")
	if err := os.WriteFile(hidden, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if leads(hidden, h.Inode()) || leads(hidden+"x", h.Inode()) || !leads("/proc/thread-self/ns/net", h.Inode()) {
		t.Error("a file is taken for the namespace, or the namespace for none")
	}
	s := &set{byInode: map[uint64]*Found{}}
	s.name(h.Inode(), hidden)
	s.mount(h.Inode(), "/proc/1/root", hidden)
	f := s.list()[0]
	if f.Path != "/proc/1/root"+hidden || !slices.Equal(f.Names, []string{"blue"}) {
		t.Errorf("path %q, names %q", f.Path, f.Names)
	}
}
