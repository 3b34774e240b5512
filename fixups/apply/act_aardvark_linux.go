package apply

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// How long podman's resolver may take to bind its sockets, and to end, and the
// pause between two looks.
const (
	aardvarkFor   = 5 * time.Second
	aardvarkEvery = 50 * time.Millisecond
)

const aardvark = "aardvark-dns"

// aardvarkStart starts podman's resolver, in a scope of its own where systemd
// runs, as netavark does: else it would end with the unit that we run in.
func (m *machine) aardvarkStart(ctx context.Context, o *fixups.AardvarkStart) error {
	if !filepath.IsAbs(o.Dir) || filepath.Clean(o.Dir) != o.Dir {
		return fmt.Errorf("directory %q: %w", o.Dir, snap.ErrUnsupported)
	}
	t := ns.Tool{Name: o.Program, Args: o.Args(), Daemon: true}
	if _, err := os.Stat("/run/systemd/system"); err == nil { // sd_booted(3)
		if _, err := ns.Look("systemd-run"); err == nil {
			t.Name, t.Args = "systemd-run", append([]string{"-q", "--scope", o.Program}, t.Args...)
		}
	}
	if _, err := t.Run(ctx, m.host); err != nil {
		return err
	}
	return m.until(ctx, o, "aardvark-dns has not opened its sockets")
}

// aardvarkStop ends it by the process that it noted, which must still be it.
func (m *machine) aardvarkStop(ctx context.Context, o *fixups.AardvarkStop) error {
	b, err := os.ReadFile(o.PidFile())
	if err != nil {
		return kind("reading "+o.PidFile(), err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s holds no process: %w", o.PidFile(), ErrChanged)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return snap.As(snap.ErrNotFound, fmt.Sprintf("process %d", pid), err)
	}
	defer func() { _ = unix.Close(fd) }() // only signalled
	p, err := ns.ReadProc(pid)
	if err != nil {
		return err
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || p.Name != aardvark || !slices.Contains(strings.Split(string(line), "\x00"), o.Dir) {
		return fmt.Errorf("process %d is %s now: %w", pid, p.Name, ErrChanged)
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil {
		return fmt.Errorf("signalling process %d: %w", pid, err)
	}
	return m.until(ctx, o, "aardvark-dns has not ended")
}

// until looks until an operation holds.
func (m *machine) until(ctx context.Context, op fixups.Op, not string) error {
	for end := time.Now().Add(aardvarkFor); ; {
		now, err := m.look(ctx, op)
		switch {
		case err != nil:
			return err
		case fixups.Holds(op, now):
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s: %w", not, snap.ErrTimeout)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(aardvarkEvery):
		}
	}
}
