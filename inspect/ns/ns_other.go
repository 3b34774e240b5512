//go:build !linux

package ns

import (
	"errors"
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Handle is an open network namespace; there are none on this platform.
type Handle struct{ path string }

func isErrno(err, target error) bool { return errors.Is(err, target) }

// Open always fails here: network namespaces are Linux's.
func Open(path string) (*Handle, error) {
	return nil, fmt.Errorf("opening namespace %s: %w", path, snap.ErrUnsupported)
}

// Self always fails here.
func Self() (*Handle, error) { return Open("of this thread") }

// New always fails here.
func New() (*Handle, error) { return Open("that is new") }

// Inode is 0 here.
func (h *Handle) Inode() uint64 { return 0 }

// Path is the file it was opened by.
func (h *Handle) Path() string { return h.path }

// Fd is -1 here.
func (h *Handle) Fd() int { return -1 }

// Close does nothing here.
func (h *Handle) Close() error { return nil }

// Do always fails here.
func (h *Handle) Do(func() error) error { return snap.ErrUnsupported }
