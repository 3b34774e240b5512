package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// start says how a container's process is started.
type start struct {
	detach                bool // it outlives this program, its output goes to a file
	stdin, stdout, stderr *os.File
}

// killWait is how long a process may take to be gone after SIGKILL; it is in the
// kernel's hands by then.
const killWait = 10 * time.Second

// alive says whether the process is the one that was started.
func alive(pid int, c *driver.Container) bool {
	if pid <= 1 {
		return false
	}
	p, err := ns.ReadProc(pid)
	return err == nil && p.State != "Z" && (c.Start == 0 || p.Start == c.Start)
}

// kill ends a process that is held by its pidfd, and waits until it is gone.
func kill(ctx context.Context, pid int, startTime uint64) error {
	if pid <= 1 || pid == os.Getpid() {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil //nolint:nilerr // there is none of that number
	}
	defer unix.Close(fd)
	if p, err := ns.ReadProc(pid); err != nil || startTime != 0 && p.Start != startTime {
		return nil //nolint:nilerr // it is another one by now
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return fmt.Errorf("ending process %d: %w", pid, err)
	}
	deadline := time.Now().Add(killWait)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("process %d does not end: %w", pid, snap.ErrTimeout)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		switch {
		case n > 0:
			// A child of ours is waited for, so that nothing is left of it.
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("waiting for process %d: %w", pid, err)
		case ctx.Err() != nil && err == nil:
			return ctx.Err()
		}
	}
}

// boxEnv tells this program, run again, to be a container's first process.
const boxEnv = "NETDOCTOR_BOX"

// box is what that process is told.
type box struct {
	Name     string   `json:"name"`
	Hostname string   `json:"hostname"`
	Command  []string `json:"command"`
	Environ  []string `json:"environ"`
	// Files are put over the machine's own ones: what is there by where it goes.
	Files map[string]string `json:"files"`
	Exit  string            `json:"exit"` // file for its exit code; "" none
	Dir   string            `json:"dir"`  // working directory
}

// environ is a container's environment: what a program needs of ours, its own,
// and that of its links.
func (s *session) environ(c *driver.Container) []string {
	out := []string{"PATH=" + os.Getenv("PATH"), "HOME=/root", "HOSTNAME=" + hostname(c)}
	if t := os.Getenv("TERM"); t != "" {
		out = append(out, "TERM="+t)
	}
	return append(append(out, linkEnv(s.st, c)...), c.Environ...)
}

func hostname(c *driver.Container) string {
	if c.Ctr.Hostname != "" {
		return c.Ctr.Hostname
	}
	return c.Ctr.ID[:12]
}

// launch starts the container's first process in its namespaces. The process
// waits until it is noted in the state: one that nobody knows ends by itself.
func (s *session) launch(to *birth, st start) error {
	c := &to.c
	b := box{
		Name: c.Ctr.Name, Hostname: hostname(c), Command: c.Command, Environ: s.environ(c),
		Exit: s.dir.Files(c.Ctr.ID) + "/exit", Files: map[string]string{},
	}
	if wd, err := os.Getwd(); err == nil && !st.detach {
		b.Dir = wd
	}
	maps.Copy(b.Files, map[string]string{"/etc/resolv.conf": c.Ctr.ResolvConfPath, "/etc/hosts": c.Ctr.HostsPath, "/etc/hostname": c.Ctr.HostnamePath})
	order, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("orders of %s: %w", c.Ctr.Name, err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"netdoctor:" + c.Ctr.Name}
	cmd.Env = []string{boxEnv + "=" + string(order), s.mark(), "PATH=" + os.Getenv("PATH")}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = st.stdin, st.stdout, st.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWPID, Setsid: st.detach}
	if st.detach {
		if err := os.MkdirAll(s.dir.Files(c.Ctr.ID), 0o755); err != nil { // #nosec G301 -- containers' files are read by their programs
			return fmt.Errorf("making the log: %w", err)
		}
		log, err := os.OpenFile(s.dir.Files(c.Ctr.ID)+"/log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("making the log: %w", err)
		}
		defer log.Close() //nolint:errcheck // the process has it
		cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, log, log
	}
	goR, goW, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("a pipe: %w", err)
	}
	readyR, readyW, err := os.Pipe()
	if err != nil {
		_, _ = goR.Close(), goW.Close() // the error that matters is err
		return fmt.Errorf("a pipe: %w", err)
	}
	cmd.ExtraFiles = []*os.File{goR, readyW}
	err = s.inside(c, cmd.Start)
	_, _ = goR.Close(), readyW.Close() // the child has them
	if err != nil {
		_, _ = goW.Close(), readyR.Close() // the error that matters is err
		return fmt.Errorf("starting its process: %w", err)
	}
	to.cmd, to.goW, to.readyR = cmd, goW, readyR
	return nil
}

// inside runs fn in the container's network namespace; a process that is started
// there is born in it.
func (s *session) inside(c *driver.Container, fn func() error) error {
	if c.Ctr.NetworkMode == "host" {
		h, err := ns.OpenHost(s.h.HostNS)
		if err != nil {
			return err
		}
		defer h.Close() //nolint:errcheck // only a descriptor
		return h.Do(fn)
	}
	h, err := ns.Open(c.Ctr.SandboxKey)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	return h.Do(fn)
}
