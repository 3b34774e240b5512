package testenv

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
)

// watch waits for the ends of containers' processes, all on one thread.
type watch struct {
	epoll, wake int
	ended       func(id string)
	mu          sync.Mutex
	fds         map[string]int32 // pidfd by container
	ids         map[int32]string
	done        chan struct{}
}

func newWatch(ended func(string)) (*watch, error) {
	e, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	k, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err == nil {
		err = unix.EpollCtl(e, unix.EPOLL_CTL_ADD, k, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(k)})
	}
	if err != nil {
		_ = unix.Close(e) // the error that matters is err
		return nil, err
	}
	w := &watch{epoll: e, wake: k, ended: ended, fds: map[string]int32{}, ids: map[int32]string{}, done: make(chan struct{})}
	go w.run()
	return w, nil
}

func (w *watch) run() {
	defer close(w.done)
	events := make([]unix.EpollEvent, 16)
	for {
		n, err := unix.EpollWait(w.epoll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		for _, ev := range events[:n] {
			if ev.Fd == int32(w.wake) {
				return
			}
			w.mu.Lock()
			id := w.ids[ev.Fd]
			w.mu.Unlock()
			if id != "" {
				w.drop(id)
				w.ended(id)
			}
		}
	}
}

// add watches a process; one that is there already is not watched twice.
func (w *watch) add(id string, pid int, start uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, have := w.fds[id]; have || pid <= 1 {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended
	}
	if p, err := ns.ReadProc(pid); err != nil || start != 0 && p.Start != start {
		_ = unix.Close(fd)
		return
	}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		_ = unix.Close(fd)
		return
	}
	w.fds[id], w.ids[int32(fd)] = int32(fd), id
}

func (w *watch) drop(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if fd, ok := w.fds[id]; ok {
		_ = unix.Close(int(fd)) // which takes it out of the epoll, too
		delete(w.fds, id)
		delete(w.ids, fd)
	}
}

func (w *watch) close() {
	_, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-w.done
	_ = unix.Close(w.epoll)
	_ = unix.Close(w.wake)
	for _, fd := range w.fds {
		_ = unix.Close(int(fd))
	}
}
