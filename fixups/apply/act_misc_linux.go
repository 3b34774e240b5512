package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
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
		if n := s.Ns(o.ID); errors.Is(err, snap.ErrNotFound) && dev != "" && n != nil && n.Link(dev) == nil {
			return nil // it comes with its device, which an earlier step makes
		}
		return err
	}
	for _, x := range []*snap.Snapshot{s, m.base} {
		n := x.Ns(o.ID)
		if n == nil {
			continue
		}
		if n.Sysctls == nil {
			n.Sysctls = map[string]string{}
		}
		if _, ok := n.Sysctls[o.Key]; !ok || x == s {
			n.Sysctls[o.Key] = v
		}
	}
	return nil
}

// conntrack deletes one entry by its original tuple (CTA_*,
// include/uapi/linux/netfilter/nfnetlink_conntrack.h).
func (m *machine) conntrack(ctx context.Context, o *fixups.ConntrackDelete) error {
	c := o.Conn
	v6 := c.Family == snap.IPv6
	src, dst := uint16(1), uint16(2) // CTA_IP_V4_SRC, _DST
	if v6 {
		src, dst = 3, 4
	}
	var a attrs
	a.nested(1, func(t *attrs) { // CTA_TUPLE_ORIG
		t.nested(1, func(ip *attrs) { // CTA_TUPLE_IP
			ip.bytes(src, c.Orig.Src.Addr().AsSlice())
			ip.bytes(dst, c.Orig.Dst.Addr().AsSlice())
		})
		t.nested(2, func(p *attrs) { // CTA_TUPLE_PROTO
			p.u8(1, c.Proto)
			switch c.Proto {
			case unix.IPPROTO_ICMP:
				p.be16(4, c.Orig.Src.Port())
				p.u8(5, uint8(c.Orig.Dst.Port()>>8))
				p.u8(6, uint8(c.Orig.Dst.Port()))
			case unix.IPPROTO_ICMPV6:
				p.be16(7, c.Orig.Src.Port())
				p.u8(8, uint8(c.Orig.Dst.Port()>>8))
				p.u8(9, uint8(c.Orig.Dst.Port()))
			default:
				p.be16(2, c.Orig.Src.Port())
				p.be16(3, c.Orig.Dst.Port())
			}
		})
	})
	if c.Zone != 0 {
		const ctaZone = 18
		a.be16(ctaZone, c.Zone)
	}
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return err
	}
	s, err := dial(h, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer s.close()
	const ctDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2 // IPCTNL_MSG_CT_DELETE
	fam := uint8(unix.AF_INET)
	if v6 {
		fam = unix.AF_INET6
	}
	return kernel.NetlinkError("forgetting a connection", s.do(ctDelete, 0, append(nfgen(fam, 0), a...)))
}

func mustTool(name string) error {
	if _, err := ns.Look(name); err != nil {
		return snap.Hint(err, "install iproute2")
	}
	return nil
}

// netns makes or deletes a named namespace, by ip(8): it knows how to make
// /run/netns a shared mount, without which other mount namespaces keep deleted
// namespaces alive.
func (m *machine) netns(ctx context.Context, verb, name string) error {
	if !plainName(name) || strings.HasPrefix(name, "-") {
		return fmt.Errorf("namespace name %q: %w", name, snap.ErrUnsupported)
	}
	_, err := ns.Command(ctx, nil, "ip", "netns", verb, name)
	return err
}

// lookNamed looks whether there is a namespace of that name.
func (m *machine) lookNamed(s *snap.Snapshot, name string) error {
	if !plainName(name) {
		return fmt.Errorf("namespace name %q: %w", name, snap.ErrUnsupported)
	}
	path := "/run/netns/" + name
	have := -1
	for i := range s.Netns {
		if p := s.Netns[i].Path; p == path || p == "/var"+path {
			have = i
		}
	}
	h, err := ns.Open(path)
	switch {
	case errors.Is(err, snap.ErrNotFound):
		if have >= 0 {
			s.Netns = append(s.Netns[:have:have], s.Netns[have+1:]...)
		}
		return nil
	case err != nil:
		return err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	if have < 0 {
		s.Netns = append(s.Netns, snap.Netns{
			ID: name, Inode: h.Inode(), Path: path, Names: []string{name}, Class: snap.ClassForeign, Sysctls: map[string]string{},
		})
	}
	return nil
}

// lookProc reads a process's state.
func (m *machine) lookProc(s *snap.Snapshot, p fixups.Proc) error {
	now, err := ns.ReadProc(p.PID)
	if err != nil {
		return err
	}
	if now.Name != p.Name || p.Start != 0 && now.Start != p.Start {
		return fmt.Errorf("process %d is %s now: %w", p.PID, now.Name, ErrChanged)
	}
	found := false
	for i := range s.Containers {
		if x := s.Containers[i].Process; x != nil && x.PID == p.PID {
			c := *x
			c.State, found = now.State, true
			s.Containers[i].Process = &c
		}
	}
	for i := range s.Netns {
		for j := range s.Netns[i].Sockets {
			if x := s.Netns[i].Sockets[j].Process; x != nil && x.PID == p.PID {
				c := *x
				c.State, found = now.State, true
				s.Netns[i].Sockets[j].Process = &c
			}
		}
	}
	if !found { // undo has no snapshot: a place for it
		s.Containers = append(s.Containers, snap.Container{
			Ref: "pid:" + strconv.Itoa(p.PID), Engine: "pid", Process: &snap.Process{PID: p.PID, Name: now.Name, State: now.State},
		})
	}
	return nil
}

// startOf is a process's start time.
func startOf(p fixups.Proc) (uint64, error) {
	now, err := ns.ReadProc(p.PID)
	if err != nil {
		return 0, err
	}
	if now.Name != p.Name || p.Start != 0 && now.Start != p.Start {
		return 0, fmt.Errorf("process %d is %s now: %w", p.PID, now.Name, ErrChanged)
	}
	return now.Start, nil
}

// signal continues or stops a process that is held by its pidfd, after another
// look at who it is.
func (m *machine) signal(p fixups.Proc, cont bool) error {
	if p.PID <= 1 || p.PID == os.Getpid() {
		return fmt.Errorf("process %d: %w", p.PID, snap.ErrUnsupported)
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return fmt.Errorf("process %d: %w (%w)", p.PID, snap.ErrNotFound, err)
	}
	defer unix.Close(fd)
	if _, err := startOf(p); err != nil {
		return err
	}
	sig := unix.SIGSTOP
	if cont {
		sig = unix.SIGCONT
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return fmt.Errorf("signalling process %d: %w", p.PID, err)
	}
	return settled(p, cont)
}
