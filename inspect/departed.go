package inspect

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Departed are the containers of a snapshot of this host whose process has ended
// since, by their index.
func Departed(s *snap.Snapshot) []int { return departed(s, netnsInode) }

// departed are the containers whose process has ended: what was read of them may be
// half of what they were. inode is that of a process's network namespace; what it
// can't tell claims nothing.
func departed(s *snap.Snapshot, inode func(pid int) (uint64, error)) []int {
	var out []int
	for i := range s.Containers {
		c := &s.Containers[i]
		ns := s.Ns(c.Netns)
		if !c.Running() || c.PID == 0 || ns == nil {
			continue
		}
		n, err := inode(c.PID)
		if errors.Is(err, fs.ErrNotExist) || err == nil && n != ns.Inode {
			out = append(out, i)
		}
	}
	return out
}

// netnsInode is the inode of a live process's network namespace.
func netnsInode(pid int) (uint64, error) {
	fi, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return 0, err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ino, nil
	}
	return 0, errors.ErrUnsupported
}
