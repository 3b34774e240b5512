package ns

import (
	"bytes"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// freezers are where control groups are frozen by: cgroup2, and the freezer of the
// older kind; either may be missing.
type freezers struct {
	two, one       Cgroup2
	hasTwo, hasOne bool
}

// findFreezers picks the mounts out of a mountinfo file (proc(5)).
func findFreezers(mountinfo []byte) (f freezers) {
	f.two, f.hasTwo = cgroup2Mount(mountinfo)
	for line := range bytes.Lines(mountinfo) {
		front, back, ok := strings.Cut(string(line), " - ")
		at, kind := strings.Fields(front), strings.Fields(back)
		if ok && len(at) > 4 && len(kind) > 2 && kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), "freezer") {
			f.one, f.hasOne = Cgroup2{Point: Unescape(at[4]), Root: Unescape(at[3])}, true
			break
		}
	}
	return f
}

// Frozen says whether the control group of a process, or one above it, is frozen
// (Documentation/admin-guide/cgroup-v2.rst: cgroup.events; cgroup-v1/
// freezer-subsystem.rst: freezer.state). What can't be read is not frozen.
func (p *Procs) Frozen(pid int) bool {
	if p == nil {
		return false
	}
	p.freezersOnce.Do(func() {
		if b, err := os.ReadFile("/proc/thread-self/mountinfo"); err == nil {
			p.freezers = findFreezers(b)
		}
	})
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return false
	}
	says := func(c Cgroup2, group, file, want string) bool {
		dir, ok := c.Dir(group)
		if !ok {
			return false
		}
		b, err := os.ReadFile(path.Join(dir, file))
		return err == nil && slices.Contains(strings.Split(string(b), "\n"), want)
	}
	for l := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimRight(l, "\n"), ":", 3)
		switch {
		case len(f) != 3:
		case f[0] == "0" && p.freezers.hasTwo && says(p.freezers.two, f[2], "cgroup.events", "frozen 1"):
			return true
		case p.freezers.hasOne && slices.Contains(strings.Split(f[1], ","), "freezer") && says(p.freezers.one, f[2], "freezer.state", "FROZEN"):
			return true
		}
	}
	return false
}
