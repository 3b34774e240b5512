package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/spec"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// RunOptions are those of a container that is started by hand.
type RunOptions struct {
	Name    string // "": made of its id
	Service spec.Service
	Detach  bool
	// Stdin, Stdout and Stderr of a command in the foreground.
	Stdin, Stdout, Stderr *os.File
}

// Run starts a command in a container of its own. In the foreground it waits
// for its end, takes the container away, and gives its exit code; detached it
// gives the container's name at once.
func (h *Host) Run(ctx context.Context, o RunOptions) (name string, code int, err error) {
	s, err := h.open(ctx, nil)
	if err != nil {
		return "", 0, err
	}
	c, err := s.begun(ctx, o)
	if err != nil {
		s.close()
		return "", 0, err
	}
	name = c.Ctr.Name
	if o.Detach {
		s.close()
		return name, 0, nil
	}
	cmd, id := s.running, c.Ctr.ID
	s.close() // others may work while it runs
	code, err = wait(ctx, cmd)
	again, e := h.open(context.WithoutCancel(ctx), nil)
	if e != nil {
		return name, code, errors.Join(err, e)
	}
	defer again.close()
	if c := again.st.Container(id); c != nil {
		err = errors.Join(err, again.remove(context.WithoutCancel(ctx), c), again.balance(context.WithoutCancel(ctx)))
	}
	return name, code, err
}

// begun makes and starts the container.
func (s *session) begun(ctx context.Context, o RunOptions) (*driver.Container, error) {
	v := o.Service
	if v.Replicas == 0 {
		v.Replicas = 1
	}
	if o.Name == "" {
		o.Name = "box-" + newID()[:6]
	}
	if !spec.Name(o.Name) {
		return nil, fmt.Errorf("container name %q: a name is letters, digits, \"_\", \".\" and \"-\"", o.Name)
	}
	if v.Name == "" {
		v.Name = o.Name
	}
	if was := s.st.Container(o.Name); was != nil && was.Ctr.Name == o.Name {
		if alive(was.Ctr.PID, was) || was.Spec != "" {
			return nil, fmt.Errorf("there is a container %s already", o.Name)
		}
		if err := s.remove(ctx, was); err != nil { // its command ended long ago
			return nil, err
		}
	}
	if v.NetworkMode == "" && len(v.Networks) == 0 {
		v.Networks = []spec.Attachment{{Network: s.usual()}}
	}
	c, err := s.plan(o.Name, &v, s.freePort)
	if err != nil {
		return nil, err
	}
	st := start{detach: o.Detach, stdin: o.Stdin, stdout: o.Stdout, stderr: o.Stderr}
	if err := s.create(ctx, c, s.containerOps(c), st); err != nil {
		return nil, err
	}
	if err := s.attend(ctx, 0); err != nil {
		return nil, err
	}
	return c, s.balance(ctx)
}

// usual is the network of a container that names none: the first custom one, so
// that names work, else the default bridge.
func (s *session) usual() string {
	name := "bridge"
	for i := range s.st.Networks {
		if n := &s.st.Networks[i]; n.Net.DNS && !n.Hidden {
			return n.Net.Name
		}
	}
	return name
}

// wait waits for a command in the foreground and hands it the signals that this
// program gets.
func wait(ctx context.Context, cmd *exec.Cmd) (int, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(signals)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	end := ctx.Done()
	for {
		select {
		case err := <-done:
			return exitCode(cmd, err)
		case sig := <-signals:
			_ = cmd.Process.Signal(sig) // it may have ended just now
		case <-end:
			_ = cmd.Process.Signal(unix.SIGTERM)
			end = nil
		}
	}
}

func exitCode(cmd *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, fmt.Errorf("waiting for %s: %w", cmd.Args[0], err)
}

// Exec runs a command beside a container's own, in all of its namespaces, and
// gives its exit code.
func (h *Host) Exec(ctx context.Context, name string, command []string, stdin, stdout, stderr *os.File) (int, error) {
	st, err := h.dir().Load()
	if err != nil {
		return 0, err
	}
	if st == nil {
		return 0, nothing()
	}
	c := st.Container(name)
	if c == nil {
		return 0, snap.NotFoundf("there is no container %q", name)
	}
	if c.Foreign {
		return 0, fmt.Errorf("container %s is not ours: its programs are never run by this one", name)
	}
	if !alive(c.Ctr.PID, c) {
		return 0, snap.NotFoundf("container %s does not run", name)
	}
	s := &session{chooser: &chooser{st: st}}
	env := append(s.environ(c), "PWD=/")
	files := []uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd()}
	type answer struct {
		pid int
		err error
	}
	done := make(chan answer, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is in the container for good
		pid, err := join(c, command, env, files)
		done <- answer{pid, err}
		if err == nil {
			// A child dies with the thread that made it only if it asked for that.
			runtime.Goexit()
		}
	}()
	a := <-done
	if a.err != nil {
		return 0, fmt.Errorf("running %s in %s: %w", command[0], name, a.err)
	}
	p, err := os.FindProcess(a.pid)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.Signal(unix.SIGTERM) })
	defer stop()
	ps, err := p.Wait()
	if err != nil {
		return 0, fmt.Errorf("waiting for %s: %w", command[0], err)
	}
	if ws, ok := ps.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return ps.ExitCode(), nil
}

// join enters a container's namespaces on the calling thread and starts a
// program there. Of the namespaces only those of our own first process are ever
// entered.
func join(c *driver.Container, command, env []string, files []uintptr) (int, error) {
	pidfd, err := unix.PidfdOpen(c.Ctr.PID, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(pidfd)
	if !alive(c.Ctr.PID, c) {
		return 0, snap.ErrVanished
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // or the mount namespace can't be entered
		return 0, err
	}
	// setns(2): a pidfd names all of a process's namespaces at once.
	if err := unix.Setns(pidfd, unix.CLONE_NEWNET|unix.CLONE_NEWUTS|unix.CLONE_NEWPID|unix.CLONE_NEWNS); err != nil {
		return 0, err
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return 0, err
	}
	return syscall.ForkExec(path, command, &syscall.ProcAttr{Dir: "/", Env: env, Files: files})
}

// freePort tries to bind a host port, and names the process that has it.
func (s *session) freePort(p snap.Port) error {
	h, err := ns.OpenHost(s.h.HostNS)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	if p.Proto == snap.SCTP {
		return nil // its rules are all there is of it
	}
	err = h.Do(func() error {
		at := net.JoinHostPort(p.HostIP.String(), strconv.Itoa(int(p.HostPort)))
		if p.Proto == snap.UDP {
			c, err := net.ListenPacket(network(p), at)
			if err == nil {
				err = c.Close()
			}
			return err
		}
		l, err := net.Listen(network(p), at)
		if err == nil {
			err = l.Close()
		}
		return err
	})
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("host port %d/%s is in use%s", p.HostPort, p.Proto, holder(h, p))
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EADDRNOTAVAIL) && p.HostIP.Is6():
		return nil // a host without IPv6
	case err != nil:
		return fmt.Errorf("host port %d/%s: %w", p.HostPort, p.Proto, err)
	}
	return nil
}

// holder names the process that has a port, "" when it is not found.
func holder(h *ns.Handle, p snap.Port) string {
	n, _ := kernel.ReadNetns(context.Background(), h, kernel.Options{NoRuleset: true, NoConntrack: true, Host: true})
	i := slices.IndexFunc(n.Sockets, func(x snap.Socket) bool {
		return x.Proto == p.Proto && x.Local.Port() == p.HostPort && (x.Local.Addr().IsUnspecified() || p.HostIP.IsUnspecified() || x.Local.Addr() == p.HostIP)
	})
	if i < 0 {
		return ""
	}
	names, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	want := "socket:[" + strconv.FormatUint(n.Sockets[i].Inode, 10) + "]"
	for _, x := range names {
		pid, err := strconv.Atoi(x.Name())
		if err != nil {
			continue
		}
		fds, err := os.ReadDir("/proc/" + x.Name() + "/fd")
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if l, err := os.Readlink("/proc/" + x.Name() + "/fd/" + fd.Name()); err == nil && l == want {
				if proc, err := ns.ReadProc(pid); err == nil {
					return fmt.Sprintf(" by %s (pid %d)", proc.Name, pid)
				}
			}
		}
	}
	return ""
}

// Status is what is set up; nil when nothing is. What has ended says so.
func (h *Host) Status() (*store.State, error) {
	st, err := h.dir().Load()
	if err != nil || st == nil {
		return st, err
	}
	for i := range st.Containers {
		c := &st.Containers[i]
		if c.Foreign || c.Ctr.State != "running" || alive(c.Ctr.PID, c) {
			continue
		}
		c.Ctr.State, c.Ctr.PID = "exited", 0
		if b, err := os.ReadFile(h.dir().Files(c.Ctr.ID) + "/exit"); err == nil {
			if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				c.Ctr.ExitCode = n
			}
		}
	}
	return st, nil
}
