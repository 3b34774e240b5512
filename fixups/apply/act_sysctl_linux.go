package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sysctlPath is a key's file, of which a thread sees its own namespace's. Only
// what lies below net is written.
func sysctlPath(key string) (string, error) {
	if !strings.HasPrefix(key, "net/") || filepath.Clean(key) != key || strings.Contains(key, "..") {
		return "", fmt.Errorf("sysctl %q: %w", key, snap.ErrUnsupported)
	}
	return "/proc/sys/" + key, nil
}

// sysctl writes a value.
func (m *machine) sysctl(ctx context.Context, o *fixups.SysctlSet) error {
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return err
	}
	return h.Do(func() error { return writeSysctl(o) })
}

// writeSysctl writes a value in the namespace of the calling thread, with one
// system call, as the kernel wants it.
func writeSysctl(o *fixups.SysctlSet) error {
	path, err := sysctlPath(o.Key)
	if err != nil {
		return err
	}
	noIPv6 := strings.HasSuffix(o.Key, "/disable_ipv6")
	// Not by os.File: the kernel has events for these files, and Go would wait for
	// them.
	flags := unix.O_WRONLY
	if noIPv6 {
		flags = unix.O_RDWR
	}
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return kind("writing "+o.Key, err)
	}
	defer func() { _ = unix.Close(fd) }() // what was written was taken, or refused
	if noIPv6 {
		// Writing takes the lock of all devices, and spins until it has it
		// (addrconf.c: addrconf_disable_ipv6); reading does not.
		var now [16]byte
		if n, err := unix.Read(fd, now[:]); err == nil && strings.TrimSpace(string(now[:n])) == o.Value {
			return nil
		}
	}
	_, err = unix.Pwrite(fd, []byte(o.Value+"\n"), 0)
	return kind("writing "+o.Key, err)
}

// lookSysctl reads the one key. Where the snapshot did not have it, what is
// there now counts as what was there.
func (m *machine) lookSysctl(ctx context.Context, s *snap.Snapshot, o *fixups.SysctlSet) error {
	path, err := sysctlPath(o.Key)
	if err != nil {
		return err
	}
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return err
	}
	var v string
	if err := h.Do(func() error {
		b, err := os.ReadFile(path)
		v = strings.TrimSpace(string(b))
		return kind("reading "+o.Key, err)
	}); err != nil {
		dev := fixups.SysctlDev(o.Key)
		if n := s.Ns(o.ID); errors.Is(err, snap.ErrNotFound) && dev != "" && n != nil && (n.Link(dev) == nil || strings.HasPrefix(o.Key, "net/ipv6/conf/")) {
			return nil // it comes with its device, which an earlier step makes, or with the MTU that IPv6 needs
		}
		return err
	}
	for _, x := range []*snap.Snapshot{s, m.base} {
		n := x.Ns(o.ID)
		if n == nil {
			continue
		}
		if _, ok := n.Sysctls[o.Key]; !ok || x == s {
			n.OwnSysctls()[o.Key] = v
		}
	}
	return nil
}
