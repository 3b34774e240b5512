package apply

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// recent writes to the file of a list of xt_recent, one system call a line, each
// at the beginning (net/netfilter/xt_recent.c: recent_mt_proc_write, "strict protocol").
func (m *machine) recent(ctx context.Context, o *fixups.RecentDel, text string, times int) error {
	file, err := o.File()
	if err != nil {
		return err
	}
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return err
	}
	return h.Do(func() error {
		fd, err := unix.Open("/proc/thread-self/"+file, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			return kind("writing the list "+o.List, err)
		}
		defer func() { _ = unix.Close(fd) }() // what was written was taken, or refused
		for range times {
			_, err := unix.Seek(fd, 0, unix.SEEK_SET)
			if err == nil {
				_, err = unix.Write(fd, []byte(text+"\n"))
			}
			if err != nil {
				return kind("writing the list "+o.List, err)
			}
		}
		return nil
	})
}

// lookRecent reads the lists that there are now.
func (m *machine) lookRecent(ctx context.Context, s *snap.Snapshot, w fixups.Where) error {
	h, err := m.handle(ctx, w)
	if err != nil {
		return err
	}
	list, err := kernel.ReadRecent(h)
	if err != nil {
		return err
	}
	for _, x := range []*snap.Snapshot{s, m.base} {
		if n := x.Ns(m.idOf(w)); n != nil {
			n.Recent = list
		}
	}
	return nil
}
