package ns

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Handle is an open network namespace: it stays alive while the handle is
// open, and the handle can't come to mean another one.
type Handle struct {
	fd    int
	path  string
	inode uint64
	// visits go to the thread that made the namespace and stayed in it; nil: each
	// gets one of its own.
	visits chan func()
	closed chan struct{}
}

func isErrno(err, target error) bool { return errors.Is(err, target) }

// Open opens the namespace behind a file: /proc/PID/ns/net, /run/netns/NAME.
// A file that is not a network namespace is an error.
func Open(path string) (*Handle, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, wrap("opening namespace "+path, err)
	}
	h, err := fromFd(fd, path)
	if err != nil {
		_ = unix.Close(fd) // the error that matters is err
		return nil, err
	}
	return h, nil
}

// fromFd makes a Handle of an open descriptor after checking what it is.
func fromFd(fd int, path string) (*Handle, error) {
	// NS_GET_NSTYPE (linux/nsfs.h) fails with ENOTTY on anything but a namespace.
	typ, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil {
		return nil, snap.As(snap.ErrUnsupported, path+" is no namespace", err)
	}
	if typ != unix.CLONE_NEWNET {
		return nil, fmt.Errorf("%s is no network namespace: %w", path, snap.ErrUnsupported)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, wrap("reading "+path, err)
	}
	return &Handle{fd: fd, path: path, inode: st.Ino}, nil
}

// New makes a namespace. The thread that made it stays until Close, and every Do
// runs there, one after the other: nothing is to be entered.
func New() (*Handle, error) {
	type answer struct {
		h   *Handle
		err error
	}
	made := make(chan answer)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- answer{nil, wrap("making a namespace", err)}
			return
		}
		h, err := Self()
		if err != nil {
			made <- answer{nil, err}
			return
		}
		h.visits, h.closed = make(chan func()), make(chan struct{})
		made <- answer{h, nil}
		for {
			select {
			case f := <-h.visits:
				f()
			case <-h.closed:
				return
			}
		}
	}()
	a := <-made
	return a.h, a.err
}

// Self opens the namespace of the calling thread. Never /proc/self: that is
// the main thread's, which another goroutine may have been moved to.
func Self() (*Handle, error) { return Open("/proc/thread-self/ns/net") }

// Inode is the namespace's number: what `readlink /proc/PID/ns/net` shows.
func (h *Handle) Inode() uint64 { return h.inode }

// Path is the file it was opened by.
func (h *Handle) Path() string { return h.path }

// Fd is the open descriptor; it belongs to the Handle.
func (h *Handle) Fd() int { return h.fd }

// Close lets the namespace go.
func (h *Handle) Close() error {
	if h.visits != nil {
		close(h.closed)
	}
	return unix.Close(h.fd)
}

// Do runs fn on a thread of its own inside the namespace, and waits for it.
// The thread is never used again: entering and throwing it away costs 90 µs,
// and a thread that came back could carry the wrong namespace for good. Inside
// fn there must be no Do, and no goroutine that expects the namespace; a socket
// opened inside keeps the namespace wherever it is used.
func (h *Handle) Do(fn func() error) error {
	done := make(chan error, 1)
	if h.visits != nil {
		select {
		case h.visits <- func() { done <- fn() }:
			return <-done
		case <-h.closed:
			return fmt.Errorf("entering namespace %s: %w", h.path, snap.ErrVanished)
		}
	}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		// Entering takes CAP_SYS_ADMIN even where we are already.
		if err := unix.Setns(h.fd, unix.CLONE_NEWNET); err != nil && !h.here() {
			done <- wrap("entering namespace "+h.path, err)
			return
		}
		done <- fn()
	}()
	return <-done
}

// here says whether the calling thread is in the namespace.
func (h *Handle) here() bool {
	var st unix.Stat_t
	err := unix.Stat("/proc/thread-self/ns/net", &st)
	return err == nil && st.Ino == h.inode
}
