package apply

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxFile is the largest name service file that is written or kept for undo.
const maxFile = 64 << 10

// openFile opens the one file that is meant. A container's own root is hostile:
// the path is resolved inside it, without magic links, and nothing but a
// regular file is opened.
func openFile(o *fixups.FileWrite, write bool) (*os.File, error) {
	what := "opening " + o.Path
	if !filepath.IsAbs(o.Path) || filepath.Clean(o.Path) != o.Path || o.File != "resolv.conf" && o.File != "hosts" {
		return nil, fmt.Errorf("%s: %w", what, snap.ErrUnsupported)
	}
	root := "/"
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY}
	if write {
		how.Flags = unix.O_RDWR | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	}
	if o.Pid != 0 {
		root = "/proc/" + strconv.Itoa(o.Pid) + "/root"
		how.Resolve = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
	}
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, kind(what, err)
	}
	defer unix.Close(dir)
	path := o.Path
	if o.Pid == 0 {
		path = "." + path
	}
	fd, err := unix.Openat2(dir, path, &how)
	if err != nil {
		return nil, kind(what, err)
	}
	f := os.NewFile(uintptr(fd), o.Path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxFile {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("%s: it is no regular file of at most %d bytes: %w", what, maxFile, snap.ErrUnsupported)
	}
	return f, nil
}

func (m *machine) readFile(o *fixups.FileWrite) ([]byte, error) {
	f, err := openFile(o, false)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return b, kind("reading "+o.Path, err)
}

// lookFile puts the file's contents into the owner's resolver.
func (m *machine) lookFile(s *snap.Snapshot, o *fixups.FileWrite) error {
	b, err := m.readFile(o)
	if err != nil {
		return err
	}
	if s.Resolver(o.Owner) == nil {
		s.Resolvers = append(s.Resolvers, snap.Resolver{Owner: o.Owner})
	}
	r := s.Resolver(o.Owner)
	if o.File == "resolv.conf" && r.ResolvConf.Exists && r.ResolvConf.Raw == string(b) {
		return nil
	}
	if o.File == "hosts" && o.Old != nil && *o.Old == string(b) && m.base.Resolver(o.Owner) != nil {
		return nil // as the plan saw it
	}
	return (&fixups.FileWrite{Owner: o.Owner, File: o.File, Content: string(b)}).On(s)
}

// file writes in place: the inode, mode and owner stay, as containers have the
// file mounted. The new contents are written over the old ones and the file is
// cut afterwards, so that a reader sees one or the other but for an instant.
func (m *machine) file(o *fixups.FileWrite) error {
	if len(o.Content) > maxFile {
		return fmt.Errorf("%d bytes for %s: %w", len(o.Content), o.Path, snap.ErrLimit)
	}
	f, err := openFile(o, true)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // Sync says what went wrong
	if o.Old != nil {
		now, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		if err != nil {
			return kind("reading "+o.Path, err)
		}
		if string(now) != *o.Old {
			return fmt.Errorf("contents of %s: %w", o.Path, ErrChanged)
		}
	}
	if _, err := f.WriteAt([]byte(o.Content), 0); err != nil {
		return kind("writing "+o.Path, err)
	}
	if err := f.Truncate(int64(len(o.Content))); err != nil {
		return kind("writing "+o.Path, err)
	}
	// Some file systems have nothing to sync.
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return kind("writing "+o.Path, err)
	}
	return nil
}

// settled waits until a signalled process is seen to have stopped or gone on:
// the kernel delivers the signal when the process is next scheduled.
func settled(p fixups.Proc, running bool) error {
	end := time.NewTimer(2 * time.Second)
	defer end.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for {
		now, err := ns.ReadProc(p.PID)
		if err != nil {
			return err
		}
		if (now.State != "T") == running {
			return nil
		}
		select {
		case <-end.C:
			return fmt.Errorf("process %d is still %q: %w", p.PID, now.State, snap.ErrTimeout)
		case <-again.C:
		}
	}
}
