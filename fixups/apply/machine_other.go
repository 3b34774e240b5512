//go:build !linux

package apply

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// machine is only there on Linux.
type machine struct {
	base   *snap.Snapshot
	cookie uint64
}

func (a *Applier) open(*snap.Snapshot) (*machine, error) {
	return nil, fmt.Errorf("changing this machine: %w", snap.ErrUnsupported)
}

func (m *machine) close()                               {}
func (m *machine) inode() uint64                        { return 0 }
func (m *machine) key() hostKey                         { return hostKey{} }
func (m *machine) settle(*snap.Snapshot)                {}
func (m *machine) can(context.Context, fixups.Op) error { return snap.ErrUnsupported }

func (m *machine) act(context.Context, fixups.Op, *snap.Snapshot) error { return snap.ErrUnsupported }

func (m *machine) look(context.Context, fixups.Op) (*snap.Snapshot, error) {
	return nil, snap.ErrUnsupported
}

func (m *machine) prepare(context.Context, fixups.Op, *snap.Snapshot) (fixups.Op, fixups.Op, error) {
	return nil, nil, snap.ErrUnsupported
}

func (m *machine) planned(context.Context, []fixups.Op) ([]*step, error) {
	return nil, snap.ErrUnsupported
}
func (m *machine) make(context.Context, []*step) error       { return snap.ErrUnsupported }
func (m *machine) unmake(context.Context, []fixups.Op) error { return snap.ErrUnsupported }

func (m *machine) putFile(*fixups.FilePut) error { return snap.ErrUnsupported }
func (m *machine) expectPlain([]fixups.Op)       {}
func (m *machine) leave([]fixups.Op)             {}

func ownedByUs(fs.FileInfo) bool { return true }

func takeLock(string, time.Duration) (*os.File, error) {
	return nil, fmt.Errorf("locking: %w", snap.ErrUnsupported)
}
