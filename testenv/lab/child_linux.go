package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/testenv/serve"
)

// childSpec is what a container's process is told.
type childSpec struct {
	Name       string            `json:"name"`
	ResolvConf string            `json:"resolvConf"` // file to see as /etc/resolv.conf, "" none
	Hosts      string            `json:"hosts"`      // likewise /etc/hosts
	Listen     []string          `json:"listen"`     // see serve.Parse
	DNS        map[string]string `json:"dns"`        // zone to serve on Listen53
	Listen53   []string          `json:"listen53"`   // addresses to serve DNS on
	Forward    bool              `json:"forward"`    // be a router
}

// Child turns this process into a container's when it was started as one, and
// never returns then. Every program that makes labs calls it first thing in
// main (test binaries through M).
func Child() {
	spec := os.Getenv(envChild)
	if spec == "" {
		return
	}
	code := 0
	if err := child(spec); err != nil {
		fmt.Fprintln(os.Stdout, "error:", err) //nolint:errcheck // whoever asked may be gone
		code = 1
	}
	exit(code)
}

// exit ends a container's process; a variable only so that the linter's rule
// "only main ends the process" names its one exception here.
func exit(code int) { syscall.Exit(code) }

// child waits for its network ("go" on stdin), opens its sockets, says
// "ready", and lives until stdin is closed.
func child(spec string) error {
	var c childSpec
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return fmt.Errorf("reading the container's orders: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	for file, own := range map[string]string{"/etc/resolv.conf": c.ResolvConf, "/etc/hosts": c.Hosts} {
		if own == "" {
			continue
		}
		target, err := filepath.EvalSymlinks(file)
		if err != nil {
			continue // the machine has no such file to put ours on
		}
		if err := unix.Mount(own, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("putting %s in place: %w", file, err)
		}
	}
	if c.Forward {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil { // #nosec G306 -- a sysctl has the kernel's mode
			return fmt.Errorf("turning forwarding on: %w", err)
		}
	}
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return nil // the lab ended before it began
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, l := range c.Listen {
		s, err := serve.Parse(l)
		if err != nil {
			return err
		}
		if err := serve.Run(ctx, s, c.Name); err != nil {
			return err
		}
	}
	if err := serveZone(ctx, &c); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "ready") //nolint:errcheck // whoever asked may be gone
	_, err := io.Copy(io.Discard, in)
	return err
}

// proc is a running container's process.
type proc struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	pid int
}

// start runs this program as a container's process, in a network and a mount
// namespace of its own.
func start(c childSpec) (*proc, error) {
	spec, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", c.Name, err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"lab:" + c.Name}
	cmd.Env = append(os.Environ(), envChild+"="+string(spec))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", c.Name, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", c.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting container %s: %w", c.Name, err)
	}
	return &proc{cmd: cmd, in: in, out: bufio.NewReader(out), pid: cmd.Process.Pid}, nil
}

// run lets the process go on, now that its network is there, and waits until
// its sockets are open.
func (p *proc) run() error {
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		return fmt.Errorf("telling pid %d to go on: %w", p.pid, err)
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("waiting for pid %d: %w", p.pid, err)
	}
	if line != "ready\n" {
		return fmt.Errorf("pid %d: %s", p.pid, line)
	}
	return nil
}

// stop ends the process and waits for it.
func (p *proc) stop() error {
	if err := p.in.Close(); err != nil {
		return fmt.Errorf("ending pid %d: %w", p.pid, err)
	}
	if err := p.cmd.Wait(); err != nil && p.cmd.ProcessState == nil {
		return fmt.Errorf("waiting for pid %d: %w", p.pid, err)
	}
	return nil
}

// netnsPath is the process's network namespace.
func (p *proc) netnsPath() string { return "/proc/" + strconv.Itoa(p.pid) + "/ns/net" }
