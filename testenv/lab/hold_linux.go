package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// request and reply go over the holder's socket, one of each a connection.
type request struct {
	Action string   `json:"action"` // "break", "heal", "down", "pid"
	Args   []string `json:"args"`
}

type reply struct {
	Lines []string `json:"lines"`
	Error string   `json:"error"`
}

// stateDir is where a lab that stays has its socket: a directory that only this
// user may enter.
func stateDir() (string, error) {
	dir := filepath.Join(os.TempDir(), "netdoctor-lab-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("a place for the lab: %w", err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("a place for the lab: %w", err)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || !st.IsDir() || int(sys.Uid) != os.Getuid() || st.Mode().Perm() != 0o700 {
		return "", fmt.Errorf("%s is not this user's alone: %w", dir, snap.ErrPermission)
	}
	return filepath.Join(dir, "socket"), nil
}

// startTimeout is for a lab to come up; it takes a fifth of a second.
const startTimeout = 20 * time.Second

// Stay builds a lab that stays when this program ends, and gives the process
// that holds it. One that is there already is left as it is.
func Stay(ctx context.Context) (pid int, err error) {
	sock, err := stateDir()
	if err != nil {
		return 0, err
	}
	if pid, err := holder(ctx); err == nil {
		return pid, nil
	}
	if err := os.Remove(sock); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("a socket for the lab: %w", err)
	}
	cmd := command([]string{"lab", "hold", sock})
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, nil, nil
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return 0, refused(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(startTimeout)
	for {
		select {
		case err := <-ended:
			return 0, fmt.Errorf("the lab did not come up: %w", err)
		case <-late:
			return 0, errors.Join(fmt.Errorf("building a lab: %w", snap.ErrTimeout), cmd.Process.Kill())
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), cmd.Process.Kill())
		case <-tick.C:
			if pid, err := holder(ctx); err == nil {
				return pid, nil
			}
		}
	}
}

// holder asks the lab that stays for its process.
func holder(ctx context.Context) (int, error) {
	lines, err := Tell(ctx, "pid")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(lines[0])
}

// Tell has the lab that stays do something, and gives what it says.
func Tell(ctx context.Context, action string, args ...string) ([]string, error) {
	sock, err := stateDir()
	if err != nil {
		return nil, err
	}
	var d net.Dialer //nolint:forbidigo // a Unix socket
	c, err := d.DialContext(ctx, "unix", sock)
	if err != nil {
		return nil, snap.Hint(snap.NotFoundf("no lab is up"), "netdoctor lab up")
	}
	defer c.Close() //nolint:errcheck // all was read
	if err := c.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return nil, fmt.Errorf("asking the lab: %w", err)
	}
	if err := json.NewEncoder(c).Encode(request{action, args}); err != nil {
		return nil, fmt.Errorf("asking the lab: %w", err)
	}
	var r reply
	if err := json.NewDecoder(c).Decode(&r); err != nil {
		return nil, fmt.Errorf("asking the lab: %w", err)
	}
	if r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return r.Lines, nil
}

// Hold is the process of a lab that stays: it builds the lab, and serves its
// socket until it is told that it is down.
func Hold(ctx context.Context, sock string) error {
	l, err := Up(ctx, Default())
	if err != nil {
		return err
	}
	defer func() { _ = l.Down() }() // the namespaces end with this process
	var lc net.ListenConfig
	s, err := lc.Listen(ctx, "unix", sock)
	if err != nil {
		return fmt.Errorf("serving the lab: %w", err)
	}
	defer s.Close() //nolint:errcheck // it ends with this process
	go func() {
		<-ctx.Done()
		_ = s.Close() // ends Accept
	}()
	for {
		c, err := s.Accept()
		if err != nil {
			return fmt.Errorf("serving the lab: %w", err)
		}
		down := l.serve(ctx, c)
		_ = c.Close() // the answer is written
		if down {
			return nil
		}
	}
}

// serve answers one request; true: the lab ends.
func (l *Lab) serve(ctx context.Context, c net.Conn) bool {
	var q request
	if err := json.NewDecoder(c).Decode(&q); err != nil {
		return false
	}
	var r reply
	var err error
	switch q.Action {
	case "pid":
		r.Lines = []string{strconv.Itoa(os.Getpid())}
	case "break":
		r.Lines, err = l.Break(ctx, append(q.Args, "", "")[0], append(q.Args, "", "")[1])
	case "heal":
		r.Lines, err = l.Heal(ctx)
	case "down":
		r.Lines = []string{"the lab is gone"}
	default:
		err = fmt.Errorf("%q: %w", q.Action, snap.ErrUnsupported)
	}
	if err != nil {
		r.Error = err.Error()
	}
	_ = json.NewEncoder(c).Encode(r) // who asked may be gone
	return q.Action == "down"
}

// Enter is the line by which a person gets into the lab.
func Enter(pid int) string {
	user := ""
	if os.Getuid() != 0 {
		user = " -U --preserve-credentials"
	}
	return fmt.Sprintf("nsenter -t %d%s -n -m", pid, user)
}
