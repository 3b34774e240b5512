package engine

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// rootless is the user whose Podman this is, "" for root's. Whoever looks from within
// that user's namespace (podman unshare) sees him as root.
func (m *machine) rootless(uid int, monitors []conmon) string {
	const everybody, nobody = "4294967295", 65534
	b, err := os.ReadFile(m.path("/proc/thread-self/uid_map"))
	f := strings.Fields(string(b)) // first id inside, outside, how many
	inside := err == nil && len(f) > 2 && f[2] != everybody
	switch {
	case inside && uid == nobody: // whose it is can't be told; mostly root's
		return ""
	case uid == 0 && (!inside || len(monitors) == 0 || strings.HasPrefix(monitors[0].store.runroot, "/run/containers/")):
		return ""
	case uid == 0:
		uid, _ = strconv.Atoi(f[1])
	}
	b, _ = readFile(m.path("/etc/passwd"), maxConfig) // a number is a name, too
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(line, ":"); len(f) > 3 && f[2] == strconv.Itoa(uid) {
			return f[0]
		}
	}
	return strconv.Itoa(uid)
}

// as reads with the powers of the user whose files they are, so that nothing that he put
// in their place leads to what is not his, and within a deadline.
func (r *podmanRead) as(read func(*podmanRead)) {
	if !r.stranger() || os.Geteuid() != 0 {
		read(r)
		return
	}
	late := *r // not looked at if it comes too late
	late.seen = map[string]*snap.Container{}
	done := make(chan error, 1)
	var err error
	if fs := r.m.fsOf(r.e.DataRoot); !slices.Contains(localFS[:], fs) {
		err = fmt.Errorf("%s on a %s file system, whose server could hold the reader: %w", r.e.DataRoot, fs, snap.ErrUnsupported)
	} else {
		go func() {
			err := becomeOnThread(r.uid)
			if err == nil {
				read(&late)
			}
			done <- err
		}()
		select {
		case err = <-done:
		case <-time.After(rootDeadline):
			err = snap.ErrTimeout
		}
	}
	if err == nil {
		*r = late
		return
	}
	r.e.Reachable, r.e.Error = false, err.Error()
	r.gap(r.e.Name, fmt.Errorf("reading the files of user %d: %w", r.uid, err))
}

// fsOf is the kind of file system that a path lies on here, as far as its names tell.
func (m *machine) fsOf(path string) string {
	best, kind := -1, ""
	for _, x := range mounts(m.path("/proc/thread-self")) {
		if strings.HasPrefix(path+"/", strings.TrimSuffix(x.point, "/")+"/") && len(x.point) >= best {
			best, kind = len(x.point), x.fstype
		}
	}
	return kind
}
