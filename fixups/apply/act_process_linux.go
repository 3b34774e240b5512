package apply

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// lookProc reads a process's state.
func (m *machine) lookProc(s *snap.Snapshot, p fixups.Proc) error {
	now, err := sameProc(p)
	if err != nil {
		return err
	}
	setProc(s, p, now, func(x *snap.Process) { x.State = now.State })
	return nil
}

// setProc puts what was read of a process into every mention of it.
func setProc(s *snap.Snapshot, p fixups.Proc, now ns.Proc, set func(*snap.Process)) {
	found := p.Each(s, func(x **snap.Process) {
		c := **x
		set(&c)
		*x = &c
	})
	if !found { // undo has no snapshot: a place for it
		x := &snap.Process{PID: p.PID, Name: now.Name, State: now.State}
		set(x)
		s.Containers = append(s.Containers, snap.Container{Ref: "pid:" + strconv.Itoa(p.PID), Engine: "pid", Process: x})
	}
}

// sameProc reads a process, which must be the one that was meant.
func sameProc(p fixups.Proc) (ns.Proc, error) {
	now, err := ns.ReadProc(p.PID)
	if err == nil && (now.Name != p.Name || p.Start != 0 && now.Start != p.Start) {
		err = fmt.Errorf("process %d is %s now: %w", p.PID, now.Name, ErrChanged)
	}
	return now, err
}

// signal continues or stops a process that is held by its pidfd, after another
// look at who it is.
func (m *machine) signal(p fixups.Proc, cont bool) error {
	if p.PID <= 1 || p.PID == os.Getpid() {
		return fmt.Errorf("process %d: %w", p.PID, snap.ErrUnsupported)
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return snap.As(snap.ErrNotFound, fmt.Sprintf("process %d", p.PID), err)
	}
	defer unix.Close(fd)
	if _, err := sameProc(p); err != nil {
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
