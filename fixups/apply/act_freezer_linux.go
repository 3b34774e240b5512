package apply

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// lookFreezer reads what the processes of a control group are frozen by.
func (m *machine) lookFreezer(s *snap.Snapshot, f fixups.Freezer) error {
	for _, p := range f.Procs {
		now, err := sameProc(p)
		if err != nil {
			return err
		}
		by := ns.FrozenBy(p.PID)
		setProc(s, p, now, func(x *snap.Process) { x.Frozen, x.FrozenBy = len(by) > 0, by })
	}
	return nil
}

// freezer freezes or thaws a control group, after another look at who is in it.
func (m *machine) freezer(ctx context.Context, f fixups.Freezer, frozen bool) error {
	if base := path.Base(f.File); len(f.Procs) == 0 || !path.IsAbs(f.File) || f.File != path.Clean(f.File) || base != "cgroup.freeze" && base != "freezer.state" {
		return fmt.Errorf("control group of %s: %w", f.File, snap.ErrUnsupported)
	}
	for _, p := range f.Procs {
		if _, err := sameProc(p); err != nil {
			return err
		}
	}
	fd, err := unix.Open(f.File, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return kind("opening "+f.File, err)
	}
	err = onCgroups(fd, f.File)
	if err == nil {
		_, err = unix.Write(fd, []byte(f.Text(frozen)))
	}
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return kind("writing "+f.File, err)
	}
	return froze(ctx, f, frozen)
}

// onCgroups makes sure that a file is one of the kernel's control groups.
func onCgroups(fd int, file string) error {
	var at unix.Statfs_t
	if err := unix.Fstatfs(fd, &at); err != nil {
		return err
	}
	if at.Type != unix.CGROUP_SUPER_MAGIC && at.Type != unix.CGROUP2_SUPER_MAGIC {
		return fmt.Errorf("%s belongs to no control group: %w", file, snap.ErrUnsupported)
	}
	return nil
}

// froze waits until the group is as it was told to be: a freezer that has to wait
// for a process in the kernel takes its time.
func froze(ctx context.Context, f fixups.Freezer, frozen bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for slices.Contains(ns.FrozenBy(f.Procs[0].PID), f.File) != frozen {
		select {
		case <-ctx.Done():
			return fmt.Errorf("control group of %s: %w", f.File, snap.ErrTimeout)
		case <-again.C:
		}
	}
	return nil
}
