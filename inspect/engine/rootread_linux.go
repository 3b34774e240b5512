package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/resolv"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// readRoot reads a container's files through the root of its process. It may
// hang on a file system whose server does not answer: call it where that does
// no harm.
//
// The directory /proc/PID is opened once and stands for that one process: when
// it dies, reading fails, whoever gets the number next. Below the root,
// openat2(2) keeps every symbolic link inside and follows no magic one.
func readRoot(req rootRequest) rootAnswer {
	fail := func(err error) rootAnswer {
		err = errnoKind(err)
		return rootAnswer{Kind: snap.Kind(err), Err: err.Error()}
	}
	dir, err := unix.Open(req.Proc, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(fmt.Errorf("opening %s: %w", req.Proc, err))
	}
	defer unix.Close(dir)
	p := &proc{dir: "/proc/self/fd/" + strconv.Itoa(dir)}
	switch {
	case req.ID == "" && (req.Netns == 0 || p.netns() != req.Netns):
		return fail(fmt.Errorf("%s is not in the container's namespace any more: %w", req.Proc, snap.ErrVanished))
	case req.ID != "" && !holds(p, req.ID):
		return fail(fmt.Errorf("%s is not container %s any more: %w", req.Proc, short(req.ID), snap.ErrVanished))
	}
	root, err := unix.Openat(dir, "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(fmt.Errorf("opening the root of %s: %w", req.Proc, err))
	}
	defer unix.Close(root)
	a := rootAnswer{Files: map[string]rootFile{}}
	for _, f := range rootFiles {
		b, err := readBelow(root, f)
		if err != nil {
			a.Files[f] = failed(err)
			continue
		}
		a.Files[f] = rootFile{Data: b, Denied: p.denied(root, f)}
	}
	a.Libc = libcBelow(root)
	return a
}

// openBelow opens a name below a directory. Kernels before 5.6 have no
// openat2: then nothing is opened, as every other way can be led astray.
func openBelow(root int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_PATH != 0 {
		how.Flags = flags | unix.O_CLOEXEC
	}
	for {
		fd, err := unix.Openat2(root, name, &how)
		// EAGAIN: a rename raced with the walk (openat2(2)).
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		return fd, errnoKind(err)
	}
}

// readBelow reads a regular file below root. It is looked at through O_PATH
// first, which opens nothing: merely opening a device may act on it.
func readBelow(root int, name string) ([]byte, error) {
	path, err := openBelow(root, name, unix.O_PATH)
	if err != nil {
		return nil, fmt.Errorf("opening /%s: %w", name, err)
	}
	defer unix.Close(path)
	var st unix.Stat_t
	if err := unix.Fstat(path, &st); err != nil {
		return nil, fmt.Errorf("looking at /%s: %w", name, errnoKind(err))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("/%s is %s: %w", name, fileType(st.Mode), snap.ErrUnsupported)
	}
	if st.Size > maxRootFile {
		return nil, fmt.Errorf("/%s has %d bytes: %w", name, st.Size, snap.ErrLimit)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(path, &fs); err == nil && refusedFS(int64(fs.Type)) { //nolint:unconvert // 32 bits on other processors
		return nil, fmt.Errorf("/%s lies on a kernel interface: %w", name, snap.ErrUnsupported)
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(path), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /%s: %w", name, errnoKind(err))
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close() //nolint:errcheck // only read
	return readSteady(f, name)
}

// A file that is being written anew is empty or cut short for a moment: engines and
// people write a resolv.conf in place, as it is bound into the container. One that
// was written less than fresh ago, or emptied less than emptied ago, is looked at
// again, looks times at most.
const (
	fresh   = 20 * time.Millisecond
	emptied = 300 * time.Millisecond
	looks   = 25
)

// readSteady reads a file as it is when nobody writes it.
func readSteady(f *os.File, name string) ([]byte, error) {
	for range looks {
		before, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("looking at /%s: %w", name, errnoKind(err))
		}
		settles := fresh
		if before.Size() == 0 {
			settles = emptied
		}
		if age := time.Since(before.ModTime()); age >= 0 && age < settles {
			time.Sleep(min(settles-age, fresh)) // bounded by looks
			continue
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("reading /%s: %w", name, errnoKind(err))
		}
		b, err := io.ReadAll(io.LimitReader(f, maxRootFile+1))
		if err != nil {
			return nil, fmt.Errorf("reading /%s: %w", name, errnoKind(err))
		}
		if len(b) > maxRootFile {
			return nil, fmt.Errorf("/%s has more than %d bytes: %w", name, maxRootFile, snap.ErrLimit)
		}
		if after, err := f.Stat(); err == nil && after.ModTime().Equal(before.ModTime()) && after.Size() == before.Size() {
			return b, nil
		}
	}
	return nil, fmt.Errorf("/%s changes all the time: %w", name, snap.ErrTorn)
}

// refusedFS are file systems where reading a file can wait, eat what it reads,
// or tell about the reader (linux/magic.h).
func refusedFS(magic int64) bool {
	switch magic {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.BPF_FS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC:
		return true
	}
	return false
}

func fileType(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	}
	return "no regular file"
}

// libcBelow tells the libc of the image by its loader. Alpine with gcompat has
// both and is musl's; an image with neither has static programs only.
func libcBelow(root int) string {
	var glibc, musl bool
	for _, dir := range []string{"lib", "lib64", "usr/lib", "usr/lib64", "usr/glibc-compat/lib"} {
		for _, n := range listBelow(root, dir) {
			musl = musl || strings.HasPrefix(n, "ld-musl-")
			glibc = glibc || strings.HasPrefix(n, "ld-linux") || strings.HasPrefix(n, "ld64.so")
		}
	}
	switch {
	case musl && glibc:
		if fd, err := openBelow(root, "etc/alpine-release", unix.O_PATH); err == nil {
			_ = unix.Close(fd)
			return resolv.Musl
		}
		return ""
	case musl:
		return resolv.Musl
	case glibc:
		return resolv.Glibc
	}
	return ""
}

func listBelow(root int, dir string) []string {
	fd, err := openBelow(root, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close() //nolint:errcheck // only read
	names, err := f.Readdirnames(maxLibDir)
	if err != nil {
		return nil
	}
	return names
}

// errnoKind folds system call errors into snap's kinds.
func errnoKind(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return reason{err.Error(), snap.ErrNotFound}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return reason{err.Error(), snap.ErrPermission}
	case errors.Is(err, unix.ESRCH):
		return reason{err.Error(), snap.ErrVanished}
	case errors.Is(err, unix.ENOSYS):
		return reason{"openat2 needs Linux 5.6", snap.ErrUnsupported}
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return reason{"a link that must not be followed: " + err.Error(), snap.ErrUnsupported}
	}
	return err
}
