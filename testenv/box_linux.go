package testenv

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Child turns this process into a container's first one, or into the helper,
// when it was started as such, and never returns then. Every program that builds
// networks calls it first thing in main.
func Child() {
	if os.Getenv(boxEnv) != "" || os.Getenv(keeperEnv) != "" || os.Getenv(helperEnv) != "" {
		signal.Reset() // what main waits for is not what ends these
	}
	if order := os.Getenv(boxEnv); order != "" {
		code, err := runBox(order)
		if err != nil {
			fmt.Fprintln(os.Stderr, "netdoctor: error:", err)
		}
		exit(code)
	}
	if path := os.Getenv(keeperEnv); path != "" {
		code := 0
		if err := runKeeper(path); err != nil { //nolint:staticcheck // SA4023: it returns only when it goes wrong
			code = 1
		}
		exit(code)
	}
	if dir := os.Getenv(helperEnv); dir != "" {
		code := 0
		if err := runHelper(dir); err != nil {
			fmt.Fprintln(os.Stderr, "netdoctor: error:", err)
			code = 1
		}
		exit(code)
	}
}

// exit ends a child's process; a variable only so that the linter's rule "only
// main ends the process" names its exception here.
func exit(code int) { syscall.Exit(code) }

// runBox is a container's process 1.
func runBox(order string) (int, error) {
	goR, readyW := os.NewFile(3, "go"), os.NewFile(4, "ready")
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	var b box
	err := json.Unmarshal([]byte(order), &b)
	if err == nil {
		err = b.mounts()
	}
	if err != nil {
		fmt.Fprintln(readyW, err) //nolint:errcheck // nobody is left to tell
		return 125, nil
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	fmt.Fprintln(readyW, "ready") //nolint:errcheck // whoever asked may be gone
	_ = readyW.Close()
	if _, err := bufio.NewReader(goR).ReadString('\n'); err != nil {
		return 125, nil // nobody noted this process: it must not be
	}
	_ = goR.Close()
	code, err := b.run(signals)
	if b.Exit != "" {
		if e := os.WriteFile(b.Exit, []byte(strconv.Itoa(code)+"\n"), 0o600); e != nil && !errors.Is(e, fs.ErrNotExist) && err == nil {
			err = e
		}
	}
	return code, err
}

// mounts makes the process's own view of the files: its name service files, and
// a /proc that shows its processes.
func (b *box) mounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// In some nested user namespaces a new proc is refused (fs/namespace.c:
	// mount_too_revealing); then the one that is there stays.
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for at, file := range b.Files {
		target, err := filepath.EvalSymlinks(at)
		if err != nil {
			continue // the machine has no such file to put this one on
		}
		if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("putting %s in place: %w", at, err)
		}
	}
	if err := unix.Sethostname([]byte(b.Hostname)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	return os.WriteFile("/proc/self/comm", []byte("netdoctor-box"), 0)
}

// run starts the command, hands it signals, and reaps what it leaves behind.
// Without a command it waits for a signal to end.
func (b *box) run(signals chan os.Signal) (int, error) {
	if len(b.Command) == 0 {
		for sig := range signals {
			if sig == unix.SIGTERM || sig == unix.SIGINT {
				return 0, nil
			}
		}
	}
	pid, err := launch(b.Command, b.Environ, b.Dir)
	if err != nil {
		return 127, err
	}
	go func() {
		for sig := range signals {
			if n, ok := sig.(syscall.Signal); ok {
				_ = unix.Kill(pid, n) // it may have ended just now
			}
		}
	}()
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 125, err
		case got == pid && ws.Exited():
			return ws.ExitStatus(), nil
		case got == pid && ws.Signaled():
			return 128 + int(ws.Signal()), nil
		}
	}
}

// launch starts a program, found as a shell would by the PATH of its own
// environment.
func launch(command, environ []string, dir string) (int, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return 0, err
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		dir = "/"
	}
	return syscall.ForkExec(path, command, &syscall.ProcAttr{Dir: dir, Env: environ, Files: []uintptr{0, 1, 2}})
}
