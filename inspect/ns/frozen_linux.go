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

// FrozenBy are the files by which the control group of a process, and those above
// it, are frozen (Documentation/admin-guide/cgroup-v2.rst: cgroup.freeze;
// cgroup-v1/freezer-subsystem.rst: freezer.self_freezing); they are written to thaw
// it. What can't be read is not frozen.
func (p *Procs) FrozenBy(pid int) []string {
	if p == nil {
		return nil
	}
	p.freezersOnce.Do(p.freezers.find)
	return p.freezers.by(pid)
}

// FrozenBy is the same of one process alone, as it is now.
func FrozenBy(pid int) []string {
	var f freezers
	f.find()
	return f.by(pid)
}

func (f *freezers) find() {
	if b, err := os.ReadFile("/proc/thread-self/mountinfo"); err == nil {
		*f = findFreezers(b)
	}
}

func (f *freezers) by(pid int) (out []string) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return nil
	}
	up := func(c Cgroup2, group, state, frozen, own, file string) {
		if dir, ok := c.Dir(group); !ok || !says(path.Join(dir, state), frozen) {
			return
		}
		for {
			dir, ok := c.Dir(group)
			if ok && says(path.Join(dir, own), "1") {
				out = append(out, path.Join(dir, file))
			}
			if !ok || group == "/" {
				return
			}
			group = path.Dir(group)
		}
	}
	for l := range strings.Lines(string(b)) {
		g := strings.SplitN(strings.TrimRight(l, "\n"), ":", 3)
		switch {
		case len(g) != 3:
		case g[0] == "0" && f.hasTwo:
			up(f.two, g[2], "cgroup.events", "frozen 1", "cgroup.freeze", "cgroup.freeze")
		case f.hasOne && slices.Contains(strings.Split(g[1], ","), "freezer"):
			up(f.one, g[2], "freezer.state", "FROZEN", "freezer.self_freezing", "freezer.state")
		}
	}
	return out
}

// says says whether a file has that line.
func says(file, line string) bool {
	b, err := os.ReadFile(file)
	return err == nil && slices.Contains(strings.Split(string(b), "\n"), line)
}
