package testenv

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// The helper is the one process of ours that stays: it answers names in the
// containers and takes connections to published ports that no rule leads on. It
// keeps no state of its own: everything is in the store, and one that was ended
// is started again by the next command.

// helperEnv tells this program, run again, to be the helper for that directory.
const helperEnv = "NETDOCTOR_HELPER"

// helperOrder is a line on its socket; it answers with a helperAnswer.
type helperOrder struct {
	Op string `json:"op"` // "container": read that one anew; "sync": read everything; "stop"
	ID string `json:"id,omitempty"`
}

type helperAnswer struct {
	Error string `json:"error,omitempty"`
}

// helperWait bounds an order: it is a few system calls for a container.
const helperWait = 10 * time.Second

// tellHelper gives an order and waits until it is carried out.
func tellHelper(socket string, o helperOrder) error {
	conn, err := net.DialTimeout("unix", socket, helperWait) //nolint:forbidigo // a Unix socket
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the answer is what counts
	if err := conn.SetDeadline(time.Now().Add(helperWait)); err != nil {
		return err
	}
	if err := json.NewEncoder(conn).Encode(o); err != nil {
		return err
	}
	var a helperAnswer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

// needsHelper says whether anything is there for it to do.
func (s *session) needsHelper() bool {
	for i := range s.st.Containers {
		c := &s.st.Containers[i]
		if c.DNSPort != 0 || len(c.Ctr.Ports) > 0 && s.st.Env.Env.Proxy {
			return true
		}
	}
	return false
}

// tell makes the helper take a container's state anew; it is started first when
// it is needed and not there.
func (s *session) tell(ctx context.Context, id string) error {
	err := s.order(id)
	if !unreachable(err) {
		return err
	}
	if !s.needsHelper() {
		return nil // nothing is to be told, and nobody is there to hear it
	}
	return s.startHelper(ctx)
}

// order is tell where the helper is there.
func (s *session) order(id string) error {
	if s.h.Local != nil {
		return s.h.Local.container(id)
	}
	return tellHelper(s.dir.Path("helper.sock"), helperOrder{Op: "container", ID: id})
}

// wakeHelper starts the helper if something is there for it to do and it does not
// run.
func (s *session) wakeHelper(ctx context.Context) error {
	if s.awake || s.h.Local != nil || !s.needsHelper() {
		return nil
	}
	conn, err := net.DialTimeout("unix", s.dir.Path("helper.sock"), helperWait) //nolint:forbidigo // a Unix socket
	if err == nil {
		err = conn.Close()
	}
	if unreachable(err) {
		err = s.startHelper(ctx)
	}
	s.awake = err == nil
	return err
}

func unreachable(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
}

// startHelper starts the helper on the host and waits until it serves.
func (s *session) startHelper(ctx context.Context) error {
	log, err := os.OpenFile(s.dir.Path("helper.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("the helper's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the process has it
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("a pipe: %w", err)
	}
	defer readyR.Close() //nolint:errcheck // only read
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"netdoctor:helper"}
	cmd.Env = []string{helperEnv + "=" + string(s.dir), s.mark()}
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.ExtraFiles = []*os.File{readyW}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	h, err := ns.OpenHost(s.h.HostNS)
	if err == nil {
		err = h.Do(cmd.Start)
		_ = h.Close() // only a descriptor
	}
	_ = readyW.Close() // the child has it
	if err != nil {
		return fmt.Errorf("starting the helper: %w", err)
	}
	_ = readyR.SetReadDeadline(time.Now().Add(helperWait)) // pipes have deadlines
	word, err := bufio.NewReader(readyR).ReadString('\n')
	if err != nil || word != "ready\n" {
		return errors.Join(fmt.Errorf("the helper does not start: %s", word), kill(ctx, cmd.Process.Pid, 0))
	}
	p, err := ns.ReadProc(cmd.Process.Pid)
	if err != nil {
		return err
	}
	s.st.Env.Helper = store.Proc{PID: p.PID, Start: p.Start}
	s.st.Env.Engine.PID = p.PID
	if err := s.b.Make(ctx, "helper", s.dir.PutEnv(s.st.Env)); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// Wake makes the helper of a state run and open all its sockets; Rest ends it.
func (h *Host) Wake(ctx context.Context) error {
	s, err := h.open(ctx, nil)
	if err != nil {
		return err
	}
	defer s.close()
	err = tellHelper(s.dir.Path("helper.sock"), helperOrder{Op: "sync"})
	if unreachable(err) {
		return s.startHelper(ctx)
	}
	return err
}

// Rest ends the helper.
func (h *Host) Rest(ctx context.Context) error {
	s, err := h.open(ctx, nil)
	if err != nil {
		return err
	}
	defer s.close()
	return kill(ctx, s.st.Env.Helper.PID, s.st.Env.Helper.Start)
}
