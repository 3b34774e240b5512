package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// birth is a container whose namespace is there and whose process was begun. What
// is left of it is mostly waiting, and goes on while the next one is made: the
// process gets ready, is noted in the state, the helper opens the resolver's
// sockets, and the process may go on.
type birth struct {
	c      driver.Container // a copy: the state is the session's own
	detach bool
	helper bool      // the helper is needed
	cmd    *exec.Cmd // nil: it has no process
	goW    *os.File
	readyR *os.File
	done   chan error
}

// maxBirths is how many may be under way.
const maxBirths = 4

// bear begins a container's process. attend waits for it.
func (s *session) bear(ctx context.Context, c *driver.Container, st start) error {
	if err := s.wakeHelper(ctx); err != nil {
		return err
	}
	b := &birth{c: *c, detach: st.detach, helper: s.needsHelper(), done: make(chan error, 1)}
	if !s.h.NoProcess {
		if err := s.launch(b, st); err != nil {
			return err
		}
		if err := s.h.failpoint("process started"); err != nil {
			return errors.Join(err, b.end(ctx))
		}
	}
	s.births = append(s.births, b)
	go func() { b.done <- s.raise(b) }()
	return nil
}

// raise sees a container through; beside others, so that it touches nothing of
// the session but files.
func (s *session) raise(b *birth) error {
	tell := func() error {
		if err := s.order(b.c.Ctr.ID); b.helper || !unreachable(err) {
			return err
		}
		return nil // nothing is to be told, and nobody is there to hear it
	}
	if b.cmd == nil {
		return tell()
	}
	if err := b.wait(); err != nil {
		return err
	}
	// A file that is replaced whole needs no journal.
	if err := s.b.Put(s.dir.PutContainer(&b.c)); err != nil {
		return err
	}
	if err := s.h.failpoint("process noted"); err != nil {
		return err
	}
	if err := tell(); err != nil { // it finds its resolver when it begins
		return err
	}
	return b.goOn()
}

// readyWait bounds what a container's process takes to set up its mounts.
const readyWait = 10 * time.Second

// wait waits until the process is ready, and notes which it is.
func (b *birth) wait() error {
	_ = b.readyR.SetReadDeadline(time.Now().Add(readyWait)) // pipes have deadlines
	word, err := io.ReadAll(io.LimitReader(b.readyR, 4096))
	if err != nil {
		return fmt.Errorf("waiting for its process: %w", err)
	}
	if w := strings.TrimSpace(string(word)); w != "ready" {
		return fmt.Errorf("its process: %s", w)
	}
	p, err := ns.ReadProc(b.cmd.Process.Pid)
	if err != nil {
		return err
	}
	b.c.Ctr.PID, b.c.Start, b.c.Ctr.State, b.c.Ctr.Started = p.PID, p.Start, "running", time.Now().UTC().Truncate(time.Second)
	return nil
}

func (b *birth) goOn() error {
	_, err := b.goW.WriteString("go\n")
	return err
}

// end ends a process that is not to be.
func (b *birth) end(ctx context.Context) error {
	if b.cmd == nil {
		return nil
	}
	_, _ = b.goW.Close(), b.readyR.Close() // only descriptors
	return kill(ctx, b.cmd.Process.Pid, 0)
}

// attend waits for the oldest births until no more than so many are under way.
// What fails is taken away again.
func (s *session) attend(ctx context.Context, leave int) error {
	var errs []error
	for len(s.births) > leave {
		b := s.births[0]
		s.births = s.births[1:]
		err := s.born(ctx, b, <-b.done)
		if err == nil {
			continue
		}
		ctx := context.WithoutCancel(ctx)
		errs = append(errs, fmt.Errorf("container %s: %w", b.c.Ctr.Name, err), b.end(ctx))
		if c := s.st.Container(b.c.Ctr.ID); c != nil {
			errs = append(errs, s.remove(ctx, c))
		}
		leave = 0 // nothing more is going to be made
	}
	return errors.Join(errs...)
}

// born takes what became of a birth into the state.
func (s *session) born(ctx context.Context, b *birth, err error) error {
	c := s.st.Container(b.c.Ctr.ID)
	if c == nil {
		return errors.Join(err, fmt.Errorf("container %s: %w", b.c.Ctr.Name, snap.ErrVanished))
	}
	c.Ctr.PID, c.Start, c.Ctr.State, c.Ctr.Started = b.c.Ctr.PID, b.c.Start, b.c.Ctr.State, b.c.Ctr.Started
	if unreachable(err) { // the helper ended meanwhile
		if err = s.startHelper(ctx); err == nil && b.cmd != nil {
			err = b.goOn()
		}
	}
	if err == nil {
		err = s.forgetFlows(ctx, c)
	}
	if err != nil || b.cmd == nil {
		return err
	}
	_, _ = b.goW.Close(), b.readyR.Close() // only descriptors
	if !b.detach {
		s.running = b.cmd
		return nil
	}
	return b.cmd.Process.Release()
}
