package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ownedByUs says whether a file is ours or root's.
func ownedByUs(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && (sys.Uid == 0 || int(sys.Uid) == os.Geteuid())
}

// lockPoll is how often the lock is tried: flock(2) has no timeout of its own.
const lockPoll = 20 * time.Millisecond

// takeLock locks a file against other runs. The lock goes with the process,
// however it ends.
func takeLock(path string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, kind("opening the lock", err)
	}
	end := time.NewTimer(wait)
	defer end.Stop()
	again := time.NewTicker(lockPoll)
	defer again.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			_ = f.Close() // the error that matters is err
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		select {
		case <-end.C:
			_ = f.Close() // it was never locked
			return nil, fmt.Errorf("another run is changing this host: %w", snap.ErrTimeout)
		case <-again.C:
		}
	}
}
