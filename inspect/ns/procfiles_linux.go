package ns

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Files are how many files a process of the scan has open, and how many it may
// have (RLIMIT_NOFILE, the soft limit); 0, 0 when that can't be read, or there is
// no limit.
func (p *Procs) Files(pid int) (open, limit int) {
	was := p.Get(pid)
	if was == nil {
		return 0, 0
	}
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0, 0
	}
	if now, err := ReadProc(pid); err != nil || now.Start != was.Start {
		return 0, 0 // another process by now
	}
	limit = maxOpenFiles(b)
	if limit == 0 {
		return 0, 0
	}
	return len(list), limit
}

// maxOpenFiles reads the soft limit of "Max open files" out of /proc/PID/limits
// (fs/proc/base.c: proc_pid_limits); 0 where there is none.
func maxOpenFiles(b []byte) int {
	for l := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(l, []byte("Max open files")); ok {
			if f := bytes.Fields(rest); len(f) > 0 {
				if n, err := strconv.Atoi(string(f[0])); err == nil { // "unlimited" is none
					return n
				}
			}
		}
	}
	return 0
}
