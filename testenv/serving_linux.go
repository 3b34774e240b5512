package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// Helper answers names and takes connections for the containers of a store.
type Helper struct {
	dir   store.Dir
	names *names
	ports *ports

	mu   sync.Mutex
	st   *store.State
	dns  map[string]context.CancelFunc // by container
	proc *watch
	// changed are the networks whose tables are to be made anew; nil: all.
	changed map[string]bool
}

// NewHelper begins a helper for a directory. Close ends it.
func NewHelper(dir store.Dir) (*Helper, error) {
	h := &Helper{dir: dir, ports: newPorts(), dns: map[string]context.CancelFunc{}, changed: map[string]bool{}}
	h.names = newNames(h.refresh)
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
	h.changed = nil
	h.names.stale.Store(true)
	return errors.Join(errs...)
}

// refresh makes the tables of what changed anew.
func (h *Helper) refresh() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.names.stale.Load() && h.st != nil {
		h.names.update(h.st, h.changed)
		h.changed = map[string]bool{}
		h.names.stale.Store(false)
	}
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
	if h.changed != nil {
		maps.Copy(h.changed, nets)
	}
	h.names.stale.Store(true)
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
