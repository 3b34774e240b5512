package ns

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// OpenPid opens the network namespace of a process, and makes sure that it was
// that process to the end: pids are reused.
func OpenPid(pid int) (*Handle, error) {
	what := fmt.Sprintf("opening the namespace of process %d", pid)
	pidfd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL):
		return nil, snap.As(snap.ErrNotFound, what, err)
	case err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM):
		return nil, wrap(what, err)
	case err != nil:
		pidfd = -1 // before Linux 5.3, or forbidden by seccomp: the caller compares start times
	default:
		defer unix.Close(pidfd)
	}
	h, err := Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return nil, err
	}
	if pidfd >= 0 {
		// Signal 0 only asks whether the process is there; EPERM says that it is.
		if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); errors.Is(err, unix.ESRCH) {
			_ = h.Close() // it may be of another process
			return nil, fmt.Errorf("%s: %w", what, snap.ErrVanished)
		}
	}
	return h, nil
}

// Open opens the namespace by the first of its ways that still leads there.
func (f *Found) Open() (*Handle, error) {
	var firstErr error
	for _, w := range f.ways {
		h, err := w.open(f.Inode)
		if err == nil {
			return h, nil
		}
		if firstErr == nil {
			firstErr = err
		}
	}
	if firstErr == nil {
		firstErr = snap.NotFoundf("namespace %d: no path leads to it", f.Inode)
	}
	return nil, firstErr
}

func (w way) open(want uint64) (*Handle, error) {
	var h *Handle
	var err error
	switch w.kind {
	case wayPid:
		h, err = OpenPid(w.pid)
	case wayBelow:
		h, err = openBelow(w.root, w.path)
	default:
		h, err = Open(w.path)
	}
	// Only the empty file is left, or the descriptor's number is another
	// file's by now: a socket can't be opened (ENXIO, open(2)).
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENXIO) {
		return nil, fmt.Errorf("namespace %d is no longer at %s: %w", want, w, snap.ErrVanished)
	}
	if err != nil {
		return nil, err
	}
	gone := h.inode != want
	if !gone && w.pid != 0 {
		now, err := ReadProc(w.pid)
		gone = err != nil || now.Start != w.start
	}
	if gone {
		_ = h.Close() // it is another namespace, or may be
		return nil, fmt.Errorf("namespace %d is no longer at %s: %w", want, w, snap.ErrVanished)
	}
	return h, nil
}

// openBelow opens a namespace file below another process's root. That root may
// be a container's and its contents hostile: the path is resolved inside it,
// without magic links, and nothing but a file of nsfs is really opened.
func openBelow(root, path string) (*Handle, error) {
	what := "opening namespace " + root + path
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, wrap(what, err)
	}
	defer unix.Close(dir)
	at, err := unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, wrap(what, err)
	}
	defer unix.Close(at)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(at, &fs); err != nil {
		return nil, wrap(what, err)
	}
	if int64(fs.Type) != unix.NSFS_MAGIC { //nolint:unconvert // 32 bits on other processors
		return nil, fmt.Errorf("%s: no namespace is mounted there: %w", what, snap.ErrVanished)
	}
	h, err := Open("/proc/thread-self/fd/" + strconv.Itoa(at))
	if err != nil {
		return nil, err
	}
	h.path = root + path
	return h, nil
}
