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

// userName is a user's name; his number where he has none.
func (m *machine) userName(uid int) string {
	b, _ := readFile(m.path("/etc/passwd"), maxConfig) // a number is a name, too
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(line, ":"); len(f) > 3 && f[2] == strconv.Itoa(uid) {
			return f[0]
		}
	}
	return strconv.Itoa(uid)
}

// asUser calls read, which looks at a user's files below dir, with his powers, so that
// nothing that he put in their place leads to what is not his; it is not waited for any
// longer than limit, and may go on then. Who is not root has no other powers anyway.
func (m *machine) asUser(uid int, dir string, limit time.Duration, read func()) error {
	if os.Geteuid() != 0 {
		read()
		return nil
	}
	if fs := m.fsOf(dir); !slices.Contains(localFS[:], fs) {
		return fmt.Errorf("%s on a %s file system, whose server could hold the reader: %w", dir, fs, snap.ErrUnsupported)
	}
	done := make(chan error, 1)
	go func() {
		err := becomeOnThread(uid)
		if err == nil {
			read()
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return snap.ErrTimeout
	}
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
