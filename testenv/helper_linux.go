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
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
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
	if s.h.Local != nil {
		return s.h.Local.container(id)
	}
	if s.h.NoHelper {
		return nil
	}
	socket := s.dir.Path("helper.sock")
	err := tellHelper(socket, helperOrder{Op: "container", ID: id})
	if err == nil || !unreachable(err) || !s.needsHelper() {
		if unreachable(err) {
			return nil // nothing is to be told, and nobody is there to hear it
		}
		return err
	}
	return s.startHelper(ctx)
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

// Helper answers names and takes connections for the containers of a store.
type Helper struct {
	dir   store.Dir
	names *names
	ports *ports

	mu   sync.Mutex
	st   *store.State
	dns  map[string]context.CancelFunc // by container
	proc *watch
}

// NewHelper begins a helper for a directory. Close ends it.
func NewHelper(dir store.Dir) (*Helper, error) {
	h := &Helper{dir: dir, names: newNames(), ports: newPorts(), dns: map[string]context.CancelFunc{}}
	w, err := newWatch(func(id string) {
		if err := h.container(id); err != nil {
			fmt.Fprintln(os.Stderr, "netdoctor: helper:", id, err)
		}
	})
	if err != nil {
		return nil, err
	}
	h.proc = w
	return h, nil
}

// Close ends everything that it serves.
func (h *Helper) Close() {
	h.mu.Lock()
	for _, stop := range h.dns {
		stop()
	}
	h.mu.Unlock()
	h.ports.close()
	h.names.work.Wait()
	h.proc.close()
}

// sync takes the whole store anew.
func (h *Helper) sync() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	st, err := h.dir.Load()
	if err != nil {
		return err
	}
	if st == nil {
		st = &store.State{}
	}
	h.st = st
	var errs []error
	for i := range st.Containers {
		errs = append(errs, h.serve(&st.Containers[i]))
	}
	h.names.update(st, nil)
	return errors.Join(errs...)
}

// container takes one container anew: it came, changed, ended, or is gone.
func (h *Helper) container(id string) error {
	h.mu.Lock()
	if h.st == nil {
		h.mu.Unlock()
		return h.sync()
	}
	defer h.mu.Unlock()
	c, err := h.dir.Container(id)
	if err != nil {
		return err
	}
	st := h.st
	was := st.Container(id)
	nets := map[string]bool{}
	note := func(c *driver.Container) {
		if c != nil {
			for _, ep := range c.Ctr.Endpoints {
				nets[ep.Network] = true
			}
		}
	}
	note(was)
	note(c)
	for n := range nets {
		if st.Network(n) == nil { // a network came since
			if st, err = h.dir.Load(); err != nil || st == nil {
				return err
			}
			h.st = st
			break
		}
	}
	switch now := st.Container(id); {
	case c == nil && was != nil:
		for i := range st.Containers {
			if st.Containers[i].Ctr.ID == id {
				st.Containers = append(st.Containers[:i], st.Containers[i+1:]...)
				break
			}
		}
	case c != nil && now != nil:
		*now = *c
	case c != nil:
		st.Containers = append(st.Containers, *c)
	}
	if c != nil {
		err = h.serve(c)
	} else {
		h.leave(id)
	}
	h.names.update(st, nets)
	return err
}

// leave ends what is served for a container.
func (h *Helper) leave(id string) {
	if stop := h.dns[id]; stop != nil {
		stop()
		delete(h.dns, id)
	}
	h.ports.drop(id)
	h.proc.drop(id)
}

// serve opens a container's sockets, if they are not open yet.
func (h *Helper) serve(c *driver.Container) error {
	id := c.Ctr.ID
	h.proc.add(id, c.Ctr.PID, c.Start)
	var errs []error
	if c.DNSPort != 0 && h.dns[id] == nil {
		stop, err := h.names.serve(c)
		if err != nil {
			return fmt.Errorf("resolver of container %s: %w", c.Ctr.Name, err)
		}
		h.dns[id] = stop
	}
	e := &h.st.Env.Env
	if e.Proxy && len(c.Ctr.Ports) > 0 {
		if ep := driver.Publisher(e, c, h.st.Nets()); ep != nil {
			errs = append(errs, h.ports.serve(c, ep))
		} else {
			h.ports.drop(id)
		}
	}
	return errors.Join(errs...)
}

// runHelper is the helper's process.
func runHelper(dir string) error {
	ready := os.NewFile(3, "ready")
	unix.CloseOnExec(3)
	_ = os.WriteFile("/proc/self/comm", []byte("netdoctor"), 0) // a name for people
	socket := filepath.Join(dir, "helper.sock")
	_ = os.Remove(socket) // of a helper that was ended; there is one of us by the store's lock
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return err
	}
	h, err := NewHelper(store.Dir(dir))
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.sync(); err != nil {
		fmt.Fprintln(ready, err) //nolint:errcheck // the error is returned, too
		return err
	}
	fmt.Fprintln(ready, "ready") //nolint:errcheck // whoever asked may be gone
	_ = ready.Close()
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if stop := h.order(conn); stop {
			_ = l.Close() // the process ends
			return nil
		}
	}
}

// order carries out one order.
func (h *Helper) order(conn net.Conn) (stop bool) {
	defer conn.Close() //nolint:errcheck // whoever asked may be gone
	_ = conn.SetDeadline(time.Now().Add(helperWait))
	var o helperOrder
	if err := json.NewDecoder(conn).Decode(&o); err != nil {
		return false
	}
	var err error
	switch o.Op {
	case "container":
		err = h.container(o.ID)
	case "sync":
		err = h.sync()
	case "stop":
		stop = true
	default:
		err = fmt.Errorf("order %q: %w", o.Op, snap.ErrUnsupported)
	}
	a := helperAnswer{}
	if err != nil {
		a.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(a) // whoever asked may be gone
	return stop
}
