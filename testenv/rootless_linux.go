package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Without root, "the host" is a user namespace with a network and a mount
// namespace of its own, which a process keeps. Commands run inside of it: they
// are handed to that process with their standard streams, since a program with
// several threads can't enter a user namespace (setns(2)).

// keeperEnv tells this program, run again, to keep such namespaces; its value is
// the descriptor of the socket on which it takes commands.
const keeperEnv = "NETDOCTOR_KEEPER"

// InsideEnv is set for commands that run inside.
const InsideEnv = "NETDOCTOR_ROOTLESS"

// keeperOrder is one command. Its standard streams come with it (SCM_RIGHTS).
type keeperOrder struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Dir  string   `json:"dir"`
}

type keeperAnswer struct {
	Code  int    `json:"code"`
	Error string `json:"error,omitempty"`
}

// socketPath is where the keeper of this user is asked.
func socketPath() (string, error) {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("netdoctor-%d", os.Getuid()))
	} else {
		dir = filepath.Join(dir, "netdoctor")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("a place for the rootless host: %w", err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("a place for the rootless host: %w", err)
	}
	if s, ok := st.Sys().(*syscall.Stat_t); !ok || !st.IsDir() || st.Mode().Perm()&0o077 != 0 || int(s.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is not this user's alone: %w", dir, snap.ErrPermission)
	}
	return filepath.Join(dir, "rootless.sock"), nil
}

// Rootless runs a command of this program inside this user's own host, which is
// made first when begin says so, and gives its exit code.
func Rootless(ctx context.Context, args []string, begin bool, std [3]*os.File) (int, error) {
	path, err := socketPath()
	if err != nil {
		return 0, err
	}
	conn, err := net.Dial("unix", path) //nolint:forbidigo // a Unix socket
	if unreachable(err) {
		if !begin {
			return 0, snap.Hint(snap.NotFoundf("no rootless host is there"), "netdoctor setup --rootless")
		}
		if err := keep(path); err != nil {
			return 0, err
		}
		conn, err = net.Dial("unix", path) //nolint:forbidigo // a Unix socket
	}
	if err != nil {
		return 0, fmt.Errorf("asking the rootless host: %w", err)
	}
	defer conn.Close()                                                               //nolint:errcheck // the answer is what counts
	stop := context.AfterFunc(ctx, func() { _ = conn.(*net.UnixConn).CloseWrite() }) //nolint:forcetypeassert // of network "unix"
	defer stop()
	wd, err := os.Getwd()
	if err != nil {
		wd = "/"
	}
	order, err := json.Marshal(keeperOrder{Args: args, Env: os.Environ(), Dir: wd})
	if err != nil {
		return 0, err
	}
	rights := unix.UnixRights(int(std[0].Fd()), int(std[1].Fd()), int(std[2].Fd()))
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(append(order, '\n'), rights, nil); err != nil { //nolint:forcetypeassert // of network "unix"
		return 0, fmt.Errorf("asking the rootless host: %w", err)
	}
	var a keeperAnswer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return 0, fmt.Errorf("the rootless host does not answer: %w", err)
	}
	if a.Error != "" {
		return 0, errors.New(a.Error)
	}
	return a.Code, nil
}

// keep starts the keeper and waits until it takes commands.
func keep(path string) error {
	_ = os.Remove(path) // of a keeper that was ended
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("a socket for the rootless host: %w", err)
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	_ = l.Close() // the child has it
	if err != nil {
		return fmt.Errorf("a socket for the rootless host: %w", err)
	}
	defer f.Close() //nolint:errcheck // the child has it
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("a pipe: %w", err)
	}
	defer r.Close() //nolint:errcheck // only read
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"netdoctor:rootless"}
	cmd.Env = []string{keeperEnv + "=" + path, "PATH=" + os.Getenv("PATH")}
	cmd.ExtraFiles = []*os.File{f, w}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// The network namespace once the map is written: in one that was made before,
		// ip_tables_names belongs to nobody (net/netfilter/x_tables.c: xt_proto_init).
		Setsid: true, Cloneflags: unix.CLONE_NEWUSER, Unshareflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	err = cmd.Start()
	_ = w.Close() // the child has it
	if err != nil {
		_ = os.Remove(path) // the error that matters is err
		return snap.Hint(snap.As(snap.ErrPermission, "making a user namespace", err),
			"allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or run as root")
	}
	_ = r.SetReadDeadline(time.Now().Add(helperWait)) // pipes have deadlines
	word, err := io.ReadAll(io.LimitReader(r, 4096))
	if w := strings.TrimSpace(string(word)); err != nil || w != "ready" {
		_ = os.Remove(path) // the error that matters is err
		return errors.Join(fmt.Errorf("the rootless host does not start: %s", w), err, kill(context.Background(), cmd.Process.Pid, 0))
	}
	return cmd.Process.Release()
}

// runKeeper is the process that keeps the namespaces: it ends when nothing is
// set up any more and nobody asks.
func runKeeper(path string) error {
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	ready := os.NewFile(4, "ready")
	if err := furnish(); err != nil {
		fmt.Fprintln(ready, err) //nolint:errcheck // the error is returned, too
		return err
	}
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		fmt.Fprintln(ready, err) //nolint:errcheck // the error is returned, too
		return err
	}
	fmt.Fprintln(ready, "ready") //nolint:errcheck // whoever asked may be gone
	_ = ready.Close()
	var running atomic.Int32
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		u, ok := conn.(*net.UnixConn)
		if !ok {
			_ = conn.Close() // never: it is a socket of ours
			continue
		}
		running.Add(1)
		go func() {
			obey(u)
			_, err := os.Stat(defaultDir)
			if running.Add(-1) == 0 && os.IsNotExist(err) {
				_ = os.Remove(path) // a later set-up makes a new one
				_ = l.Close()
				exit(0)
			}
		}()
	}
}

// furnish gives the new host its own /run, a loopback device that is up, and
// the name servers that the old one has.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	conf, err := filepath.EvalSymlinks("/etc/resolv.conf")
	var text []byte
	if err == nil {
		text, _ = os.ReadFile(conf) // without it there are no name servers
	}
	if err := unix.Mount("netdoctor", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=64m"); err != nil {
		return fmt.Errorf("mounting a /run of its own: %w", err)
	}
	if strings.HasPrefix(conf, "/run/") { // it lay in what is covered now
		if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil { // #nosec G301 -- as it is on the machine
			return err
		}
		if err := os.WriteFile(conf, text, 0o644); err != nil { // #nosec G306 -- a resolv.conf is read by all
			return err
		}
	}
	return loopbackUp()
}

// loopbackUp sets IFF_UP on lo (netdevice(7)).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bringing lo up: %w", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("bringing lo up: %w", err)
	}
	return nil
}

// obey runs one command and answers with its exit code.
func obey(conn *net.UnixConn) {
	defer conn.Close() //nolint:errcheck // whoever asked may be gone
	a := keeperAnswer{}
	o, files, err := hear(conn)
	if err == nil {
		a.Code, err = carryOut(conn, o, files)
	}
	for _, f := range files {
		_ = f.Close() // the command had them
	}
	if err != nil {
		a.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(a) // whoever asked may be gone
}

// hear reads an order and the streams that come with it.
func hear(conn *net.UnixConn) (o keeperOrder, files []*os.File, err error) {
	buf, oob := make([]byte, 1<<20), make([]byte, 256)
	n, on, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return o, nil, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:on])
	for i := 0; err == nil && i < len(msgs); i++ {
		var fds []int
		fds, err = unix.ParseUnixRights(&msgs[i])
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "stream"))
		}
	}
	if err == nil && len(files) != 3 {
		err = fmt.Errorf("an order with %d streams: %w", len(files), snap.ErrUnsupported)
	}
	for err == nil && (n == 0 || buf[n-1] != '\n') { // a long environment comes in pieces
		var more int
		if n == len(buf) {
			return o, files, fmt.Errorf("an order of more than %d bytes: %w", n, snap.ErrUnsupported)
		}
		more, err = conn.Read(buf[n:])
		n += more
	}
	if err == nil {
		err = json.Unmarshal(buf[:n], &o)
	}
	return o, files, err
}

func carryOut(conn *net.UnixConn, o keeperOrder, files []*os.File) (int, error) {
	cmd := exec.Command("/proc/self/exe", o.Args...) // #nosec G204 -- the program is this one
	cmd.Args[0] = "netdoctor"
	cmd.Env = append(o.Env, InsideEnv+"=1")
	cmd.Dir = o.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() { // whoever asked is gone, or was interrupted
		_, _ = conn.Read(make([]byte, 1))
		_ = cmd.Process.Signal(unix.SIGTERM)
	}()
	return exitCode(cmd, cmd.Wait())
}
