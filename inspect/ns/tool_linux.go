package ns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Look finds a host program by its base name in a fixed list of directories.
// PATH is not asked. A program that anybody could have written (owned by
// somebody else than root, or writable for others) does not count when we run
// as root.
func Look(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, runnable(name)
	}
	for _, d := range toolDirs() {
		path := filepath.Join(d, name)
		if runnable(path) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %s: %w", name, snap.ErrTool)
}

func runnable(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return snap.As(snap.ErrTool, "program "+path, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0:
		return fmt.Errorf("program %s is not executable: %w", path, snap.ErrTool)
	case unix.Geteuid() == 0 && (st.Uid != 0 || st.Mode&0o002 != 0):
		return fmt.Errorf("program %s may be written by others than root: %w", path, snap.ErrTool)
	}
	return nil
}

// Command runs a host program inside the namespace and returns what it wrote
// to its standard output. h nil: where we are. The program sees the host's
// files, a clean environment with LC_ALL=C, and no input.
func Command(ctx context.Context, h *Handle, name string, args ...string) ([]byte, error) {
	return Tool{Name: name, Args: args}.Run(ctx, h)
}

// Run runs the program inside the namespace. Errors: snap.ErrTool when it is
// not there, snap.ErrTimeout, snap.ErrLimit for more than 16 MiB of output,
// *ToolError when it ended with another code than 0; its output comes along.
func (t Tool) Run(ctx context.Context, h *Handle) ([]byte, error) {
	path, err := Look(t.Name)
	if err != nil {
		return nil, err
	}
	timeout := t.Timeout
	if timeout == 0 {
		timeout = toolTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, errs := &capped{max: toolOutput, full: cancel}, &capped{max: toolErrors}
	cmd := exec.CommandContext(ctx, path, t.Args...)
	cmd.Env = append([]string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "TERM=dumb"}, t.Env...)
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.Stdin, out, errs
	if t.Daemon { // whoever inherits a pipe would keep us waiting, and die of writing to it
		cmd.Stdout, cmd.Stderr = nil, nil
		cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	}
	cmd.WaitDelay = time.Second // for grandchildren that keep the pipes open
	start := cmd.Start
	if h != nil {
		// The child inherits the namespace of the thread that forks it.
		start = func() error { return h.Do(cmd.Start) }
	}
	if err := start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	err = cmd.Wait()
	switch {
	case out.over:
		return out.b.Bytes(), fmt.Errorf("output of %s: %w of %d bytes", path, snap.ErrLimit, toolOutput)
	case ctx.Err() != nil:
		return out.b.Bytes(), fmt.Errorf("running %s: %w", path, snap.ErrTimeout)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.b.Bytes(), &ToolError{Tool: t.Name, Args: t.Args, Code: exit.ExitCode(), Stderr: errs.b.String()}
	}
	if err != nil {
		return out.b.Bytes(), fmt.Errorf("running %s: %w", path, err)
	}
	return out.b.Bytes(), nil
}

// capped keeps the first max bytes, and calls full once when more come.
type capped struct {
	b    bytes.Buffer
	max  int
	over bool
	full func()
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.max - c.b.Len(); len(p) > room {
		c.b.Write(p[:room])
		if !c.over && c.full != nil {
			c.full()
		}
		c.over = true
		return len(p), nil
	}
	return c.b.Write(p)
}
