package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ChildArg is the only argument of the program when it is to read the files of
// containers for its parent: main calls Serve then, before anything else.
const ChildArg = "--serve-container-files"

// Serve answers requests for the files of containers, one JSON value a line,
// until the end of r. It is the body of the child process.
//
// Why a process and not a thread: a read from a FUSE file system whose server
// has taken the request waits uninterruptibly (fs/fuse/dev.c:
// request_wait_answer), and a process does not end before its last thread has.
// A hung thread would keep the whole program, and the shell that waits for it,
// until the container's root pleases; a hung child is left behind.
func Serve(r io.Reader, w io.Writer) error {
	in, out := json.NewDecoder(bufio.NewReader(r)), json.NewEncoder(w)
	for {
		var req rootRequest
		err := in.Decode(&req)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a request: %w", err)
		}
		if err := out.Encode(readRoot(req)); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
	}
}

// reader reads the files of containers one after the other: in a child, which
// is replaced when it hangs, or in this process where no child was given.
type reader struct {
	command []string
	child   *child
}

// child is a running child.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan rootAnswer // closed when the child says no more
}

// read asks for one container's files; it takes rootDeadline at most.
func (r *reader) read(ctx context.Context, req rootRequest) (rootAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, rootDeadline)
	defer cancel()
	if len(r.command) == 0 {
		return readHere(ctx, req)
	}
	if r.child == nil {
		c, err := startChild(r.command)
		if err != nil {
			return rootAnswer{}, err
		}
		r.child = c
	}
	if err := json.NewEncoder(r.child.in).Encode(req); err != nil {
		r.drop()
		return rootAnswer{}, fmt.Errorf("asking the reading child: %w", err)
	}
	select {
	case a, ok := <-r.child.answers:
		if !ok {
			r.drop()
			return rootAnswer{}, errors.New("the reading child ended")
		}
		return a, a.error()
	case <-ctx.Done():
		r.drop()
		return rootAnswer{}, timedOut(ctx)
	}
}

func timedOut(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fmt.Errorf("the container's file system did not answer within %v: %w", rootDeadline, snap.ErrTimeout)
}

func (a *rootAnswer) error() error {
	if a.Err == "" {
		return nil
	}
	return kindError(a.Kind, a.Err)
}

// readHere reads in this process, from file systems that can't hang only. The
// goroutine is left behind if one does all the same.
func readHere(ctx context.Context, req rootRequest) (rootAnswer, error) {
	if err := cantHang(req.Proc); err != nil {
		return rootAnswer{}, err
	}
	done := make(chan rootAnswer, 1)
	go func() { done <- readRoot(req) }()
	select {
	case a := <-done:
		return a, a.error()
	case <-ctx.Done():
		return rootAnswer{}, timedOut(ctx)
	}
}

func startChild(command []string) (*child, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = []string{"LC_ALL=C", "GOTRACEBACK=none"}
	cmd.Dir = "/"
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting a child to read with: %w", err)
	}
	// A pipe of our own: Wait closes that of StdoutPipe under the reader's feet.
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting a child to read with: %w", err)
	}
	cmd.Stdout = pw
	err = cmd.Start()
	_ = pw.Close() // the child has its own
	if err != nil {
		_ = pr.Close()
		return nil, fmt.Errorf("starting a child to read with: %w", err)
	}
	c := &child{cmd: cmd, in: in, answers: make(chan rootAnswer, 1)}
	go func() {
		defer close(c.answers)
		defer pr.Close() //nolint:errcheck // only read
		dec := json.NewDecoder(bufio.NewReader(pr))
		for {
			var a rootAnswer
			if dec.Decode(&a) != nil {
				return
			}
			c.answers <- a
		}
	}()
	return c, nil
}

// reapGrace is how long an idle child may take to end after its input did.
const reapGrace = time.Second

// drop ends the child by force and does not wait: it may be beyond signals.
// Whoever still waits for it is a goroutine that ends with it.
func (r *reader) drop() {
	c := r.child
	r.child = nil
	_ = c.in.Close()
	_ = c.cmd.Process.Kill()
	go func() {
		for range c.answers { // an answer that came too late
		}
		_ = c.cmd.Wait()
	}()
}

// close ends an idle child and waits for it.
func (r *reader) close() {
	if r.child == nil {
		return
	}
	c := r.child
	r.child = nil
	_ = c.in.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range c.answers {
		}
		_ = c.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(reapGrace):
		_ = c.cmd.Process.Kill()
	}
}
