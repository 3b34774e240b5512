package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Environment variables by which a re-executed program knows its part.
const (
	envInside = "ND_LAB_INSIDE" // "1": already in the private namespaces
	envChild  = "ND_LAB_CHILD"  // the JSON of a childSpec: be a container's process
)

// Inside says whether this process already lives in a lab's namespaces.
func Inside() bool { return os.Getenv(envInside) == "1" }

// command prepares this very program to be run again with new namespaces: a
// network and a mount namespace of its own, and a user namespace around them
// when this process may not make them otherwise.
func command(args []string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...) // #nosec G204 -- the program is this one
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envInside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	if !mayUnshare() {
		// The user namespace first, and the others once its map is written: what is
		// made before belongs to nobody, and ip_tables_names can't be read in it
		// (net/netfilter/x_tables.c: xt_proto_init).
		cmd.SysProcAttr.Unshareflags = cmd.SysProcAttr.Cloneflags
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// mayUnshare says whether this process has CAP_SYS_ADMIN, bit 21 of CapEff
// (capabilities(7), proc(5)).
func mayUnshare() bool {
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			var caps uint64
			if _, err := fmt.Sscanf(strings.TrimSpace(v), "%x", &caps); err != nil {
				return false
			}
			return caps&(1<<unix.CAP_SYS_ADMIN) != 0 && caps&(1<<unix.CAP_NET_ADMIN) != 0
		}
	}
	return false
}

// Rerun runs this program again inside a new lab, waits for it, and gives its
// exit code. The error is snap.ErrPermission when this machine allows neither
// root's namespaces nor user namespaces.
func Rerun(args []string) (int, error) {
	cmd := command(args)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	}
	return -1, refused(err)
}

// refused is the error of a program that could not be started in namespaces of
// its own.
func refused(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EINVAL):
		return snap.Hint(snap.As(snap.ErrPermission, "making private namespaces", err),
			"allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or run as root")
	}
	return fmt.Errorf("making private namespaces: %w", err)
}

// settle makes the mount namespace private and gives it a /run of its own, so
// that nothing of the lab is ever seen outside, or outlives it.
func settle(resolvConf string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// What /etc/resolv.conf leads to may lie in /run, which is replaced below.
	target, err := os.Readlink("/etc/resolv.conf")
	if err != nil {
		target = "/etc/resolv.conf"
	} else if !filepath.IsAbs(target) {
		target = filepath.Join("/etc", target)
	}
	if err := unix.Mount("netdoctor", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=16m"); err != nil {
		return fmt.Errorf("mounting a /run of the lab's own: %w", err)
	}
	for _, d := range []string{"/run/netns", RunDir, filepath.Dir(target)} {
		if err := os.MkdirAll(d, 0o755); err != nil { // #nosec G301 -- directories of a practice host
			return fmt.Errorf("making %s: %w", d, err)
		}
	}
	own := filepath.Join(RunDir, "host.resolv.conf")
	if err := os.WriteFile(own, []byte(resolvConf), 0o644); err != nil { // #nosec G306 -- a resolv.conf is read by all
		return fmt.Errorf("writing the lab's resolv.conf: %w", err)
	}
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(target, nil, 0o644); err != nil { // #nosec G306 -- as above
			return nil // a host without resolv.conf: the lab has none, too
		}
	}
	if err := unix.Mount(own, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("putting the lab's resolv.conf in place: %w", err)
	}
	return nil
}
