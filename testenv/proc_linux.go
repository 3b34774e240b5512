package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
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

// start starts the container's first process in its namespaces. The process
// waits until it is noted in the state: one that nobody knows ends by itself.
func (s *session) start(ctx context.Context, c *driver.Container, st start) error {
	b := box{
		Name: c.Ctr.Name, Hostname: hostname(c), Command: c.Command, Environ: s.environ(c),
		Exit: s.dir.Files(c.Ctr.ID) + "/exit", Files: map[string]string{},
	}
	if wd, err := os.Getwd(); err == nil && !st.detach {
		b.Dir = wd
	}
	for at, file := range map[string]string{"/etc/resolv.conf": c.Ctr.ResolvConfPath, "/etc/hosts": c.Ctr.HostsPath, "/etc/hostname": c.Ctr.HostnamePath} {
		b.Files[at] = file
	}
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
	defer goW.Close() //nolint:errcheck // closing says the same
	readyR, readyW, err := os.Pipe()
	if err != nil {
		_ = goR.Close() // the error that matters is err
		return fmt.Errorf("a pipe: %w", err)
	}
	defer readyR.Close() //nolint:errcheck // only read
	cmd.ExtraFiles = []*os.File{goR, readyW}
	err = s.inside(c, cmd.Start)
	_, _ = goR.Close(), readyW.Close() // the child has them
	if err != nil {
		return fmt.Errorf("starting its process: %w", err)
	}
	if err := s.started(ctx, c, cmd, goW, readyR); err != nil {
		return errors.Join(err, kill(ctx, cmd.Process.Pid, 0))
	}
	if st.detach {
		return cmd.Process.Release()
	}
	s.running = cmd
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

// readyWait bounds what a container's process takes to set up its mounts.
const readyWait = 10 * time.Second

// started waits until the process is ready, notes it, and lets it go on.
func (s *session) started(ctx context.Context, c *driver.Container, cmd *exec.Cmd, goW, readyR *os.File) error {
	if err := s.h.failpoint("process started"); err != nil {
		return err
	}
	_ = readyR.SetReadDeadline(time.Now().Add(readyWait)) // pipes have deadlines
	word, err := io.ReadAll(io.LimitReader(readyR, 4096))
	if err != nil {
		return fmt.Errorf("waiting for its process: %w", err)
	}
	if w := strings.TrimSpace(string(word)); w != "ready" {
		return fmt.Errorf("its process: %s", w)
	}
	p, err := ns.ReadProc(cmd.Process.Pid)
	if err != nil {
		return err
	}
	c.Ctr.PID, c.Start, c.Ctr.State, c.Ctr.Started = cmd.Process.Pid, p.Start, "running", time.Now().UTC().Truncate(time.Second)
	if err := s.b.Make(ctx, "start "+c.Ctr.Name, s.dir.PutContainer(c)); err != nil {
		return err
	}
	if err := s.h.failpoint("process noted"); err != nil {
		return err
	}
	if err := s.tell(ctx, c.Ctr.ID); err != nil { // it finds its resolver when it begins
		return err
	}
	_, err = goW.WriteString("go\n")
	return err
}
