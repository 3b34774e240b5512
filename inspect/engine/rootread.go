package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Bounds of reading a container's files (safety.md): a resolv.conf has some
// hundred bytes, and who can't read 64 KiB in a second reads from something
// that hangs.
const (
	maxRootFile  = 64 << 10
	rootDeadline = time.Second
	maxLibDir    = 4096 // entries looked at per library directory
)

// rootFiles are the files that are read, below the container's root.
var rootFiles = [...]string{"etc/resolv.conf", "etc/hosts", "etc/nsswitch.conf"}

// rootRequest asks for the files of one container.
type rootRequest struct {
	Proc string // /proc/PID, as a path
	ID   string // the container's id; the process must hold it
	// Netns is the inode of the namespace that the process must be in, where there
	// is no id that it could hold.
	Netns uint64 `json:",omitempty"`
}

// rootFile is one file as found.
type rootFile struct {
	Data    []byte
	Missing bool
	// Denied says why the process itself may not read it; "" when it may, or when
	// that can't be told.
	Denied string `json:",omitempty"`
	Kind   string // of the error, as in snap.Gap; "" none
	Err    string
}

// rootAnswer is what was found; Err with Kind says that nothing was.
type rootAnswer struct {
	Files map[string]rootFile
	Libc  string
	Kind  string
	Err   string
}

// kindError makes an error of a kind that crossed a pipe.
func kindError(kind, words string) error {
	for _, k := range []error{snap.ErrPermission, snap.ErrNotFound, snap.ErrUnsupported, snap.ErrTorn, snap.ErrTimeout, snap.ErrVanished, snap.ErrLimit} {
		if snap.Kind(k) == kind {
			if errors.Is(k, snap.ErrPermission) {
				return snap.Hint(reason{words, k}, ns.NeedRoot("CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"))
			}
			return reason{words, k}
		}
	}
	return errors.New(words)
}

func failed(err error) rootFile {
	if errors.Is(err, snap.ErrNotFound) {
		return rootFile{Missing: true}
	}
	return rootFile{Kind: snap.Kind(err), Err: err.Error()}
}

// localFS are the file systems that answer by themselves: a read from them ends.
var localFS = [...]string{
	"aufs", "bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "rootfs", "squashfs", "tmpfs", "xfs", "zfs",
	// Not read from, see refusedFS, but in every container, and harmless.
	"binfmt_misc", "bpf", "cgroup", "cgroup2", "debugfs", "devpts", "devtmpfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "securityfs", "sysfs", "tracefs",
}

// cantHang says whether no mount of the process can keep a reader waiting. It
// is asked only where there is no child to read in: what a container mounts
// after the question is not covered.
func cantHang(dir string) error {
	list := mounts(dir)
	if list == nil {
		return fmt.Errorf("mounts of %s: %w", filepath.Base(dir), snap.ErrPermission)
	}
	for _, m := range list {
		if !slices.Contains(localFS[:], m.fstype) {
			return fmt.Errorf("files of a container with a %s file system, whose server could hold the reader: %w", m.fstype, snap.ErrUnsupported)
		}
	}
	return nil
}
