package ns

import (
	"bytes"
	"path"
	"strings"
)

// Cgroup2 is where the tree of control groups (v2) is mounted.
type Cgroup2 struct {
	Point string
	Root  string // the group that is mounted there; "/" the whole tree
}

// Dir is the directory of a group; false when it is not below the mount.
func (c Cgroup2) Dir(group string) (string, bool) {
	if !path.IsAbs(group) || group != path.Clean(group) {
		return "", false
	}
	if c.Root == "/" {
		return path.Join(c.Point, group), true
	}
	rest, ok := strings.CutPrefix(group, c.Root)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return path.Join(c.Point, rest), true
}

// cgroup2Mount picks the first mount of cgroup2 out of a mountinfo file (proc(5)).
func cgroup2Mount(mountinfo []byte) (Cgroup2, bool) {
	for line := range bytes.Lines(mountinfo) {
		front, back, ok := strings.Cut(string(line), " - ")
		f := strings.Fields(front)
		if ok && strings.HasPrefix(back, "cgroup2 ") && len(f) > 4 {
			return Cgroup2{Point: Unescape(f[4]), Root: Unescape(f[3])}, true
		}
	}
	return Cgroup2{}, false
}
