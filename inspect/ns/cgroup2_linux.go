package ns

import (
	"cmp"
	"os"
	"strconv"
	"strings"
)

// FindCgroup2 finds the tree of control groups in this process's own mounts.
func FindCgroup2() (Cgroup2, bool) {
	b, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return Cgroup2{}, false
	}
	return cgroup2Mount(b)
}

// CgroupOf is the control group (v2) of a process as /proc tells it, "" when there is
// none or it can't be read.
func CgroupOf(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	for l := range strings.Lines(string(b)) {
		if at, ok := strings.CutPrefix(l, "0::"); ok {
			return cmp.Or(strings.TrimSuffix(strings.TrimRight(at, "\n"), " (deleted)"), "/")
		}
	}
	return ""
}
