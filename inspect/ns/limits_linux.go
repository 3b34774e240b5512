package ns

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Limits are how the control groups of a process, and those above them, keep it from
// more processes and more CPU (Documentation/admin-guide/cgroup-v2.rst: pids.max,
// cpu.max; cgroup-v1/pids.rst; scheduler/sched-bwc.rst); nil where neither is limited.
func (p *Procs) Limits(pid int) *snap.Limits {
	if p == nil {
		return nil
	}
	p.controllersOnce.Do(func() {
		b, _ := os.ReadFile("/proc/thread-self/mountinfo") // without it nothing is known
		p.controllers = map[string]Cgroup2{}
		for line := range strings.Lines(string(b)) {
			front, back, ok := strings.Cut(line, " - ")
			at, kind := strings.Fields(front), strings.Fields(back)
			if !ok || len(at) < 5 || len(kind) < 3 || kind[0] != "cgroup" && kind[0] != "cgroup2" {
				continue
			}
			names := strings.Split(kind[2], ",")
			if kind[0] == "cgroup2" {
				names = []string{""}
			}
			for _, n := range names {
				if _, have := p.controllers[n]; !have {
					p.controllers[n] = Cgroup2{Point: Unescape(at[4]), Root: Unescape(at[3])}
				}
			}
		}
	})
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return nil
	}
	var out snap.Limits
	for l := range strings.Lines(string(b)) {
		g := strings.SplitN(strings.TrimRight(l, "\n"), ":", 3)
		if len(g) != 3 {
			continue
		}
		names := strings.Split(g[1], ",")
		for name, m := range p.controllers {
			if !slices.Contains(names, name) || name != "" && name != "pids" && name != "cpu" {
				continue
			}
			for group := g[2]; ; group = path.Dir(group) {
				dir, ok := m.Dir(group)
				if !ok || group == "/" {
					break
				}
				readPids(dir, &out)
				readCPU(dir, &out)
			}
		}
	}
	if out == (snap.Limits{}) {
		return nil
	}
	return &out
}

// readPids keeps the limit of a group that has the least left.
func readPids(dir string, l *snap.Limits) {
	limit, now := numbers(dir, "pids.max"), numbers(dir, "pids.current")
	if len(limit) != 1 || len(now) != 1 || l.PidsMax > 0 && l.PidsMax-l.Pids <= limit[0]-now[0] {
		return
	}
	l.Pids, l.PidsMax, l.PidsRefused = now[0], limit[0], word(dir, "pids.events", "max")
}

// readCPU keeps the smallest share of a group.
func readCPU(dir string, l *snap.Limits) {
	q := numbers(dir, "cpu.max")
	if q == nil {
		q = append(numbers(dir, "cpu.cfs_quota_us"), numbers(dir, "cpu.cfs_period_us")...)
	}
	if len(q) != 2 || q[0] <= 0 || q[1] <= 0 || l.CPUPeriod > 0 && l.CPUQuota*q[1] <= q[0]*l.CPUPeriod {
		return
	}
	l.CPUQuota, l.CPUPeriod = q[0], q[1]
	l.Periods, l.Throttled = word(dir, "cpu.stat", "nr_periods"), word(dir, "cpu.stat", "nr_throttled")
}

// numbers are those of a file of one line; nil when a word is none, as "max".
func numbers(dir, file string) (out []int) {
	b, err := os.ReadFile(path.Join(dir, file))
	if err != nil {
		return nil
	}
	for _, w := range strings.Fields(string(b)) {
		n, err := strconv.Atoi(w)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}

// word is the number that follows a word in a file.
func word(dir, file, key string) int {
	b, err := os.ReadFile(path.Join(dir, file))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if i := slices.Index(f, key); i >= 0 && i+1 < len(f) {
		n, _ := strconv.Atoi(f[i+1])
		return n
	}
	return 0
}
