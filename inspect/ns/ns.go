// Package ns finds and enters network namespaces. It enters nothing but
// network namespaces, and never comes back: the thread that entered one is
// thrown away.
package ns

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Errors of the system calls are folded into snap's kinds by wrap.
func wrap(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case isErrno(err, fs.ErrPermission):
		return snap.Hint(snap.As(snap.ErrPermission, what, err), NeedRoot("CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_NET_ADMIN"))
	case isErrno(err, fs.ErrNotExist):
		return snap.As(snap.ErrNotFound, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// NeedRoot says what it takes where privileges are missing. Who is root already is in a
// container, mostly, or was given few of them.
func NeedRoot(caps string) string {
	if os.Geteuid() == 0 {
		return "give it " + caps + "; in a container: --privileged --pid=host --net=host"
	}
	return "run as root, or give it " + caps
}

// DoContext is Do, but returns early with snap.ErrTimeout when ctx ends first.
// The function then still runs to its end on its own thread; it must obey ctx
// itself wherever it blocks.
func (h *Handle) DoContext(ctx context.Context, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- h.Do(fn) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("in namespace %s: %w", h.path, snap.ErrTimeout)
	}
}
