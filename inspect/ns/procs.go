package ns

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// Proc is one process as a scan saw it.
type Proc struct {
	PID   int
	PPID  int
	Name  string // comm
	State string // "R", "S", "T", "Z", "D" …
	Start uint64 // ticks since boot; with the pid it names a process for good
	Netns uint64 // inode; 0 not readable
	Mntns uint64 // inode; 0 not readable
}

// kernel says whether it is a thread of the kernel: kthreadd or a child of it.
func (p *Proc) kernel() bool { return p.PID == 2 || p.PPID == 2 }

// Procs is one look at all processes of this pid namespace.
type Procs struct {
	List []Proc // by pid
	// Refused are pids whose namespaces this process may not see.
	Refused []int
	sockets map[uint64]int      // socket inode → lowest pid that has it open
	held    map[uint64][]string // netns inode → /proc/PID/fd/N
	bpf     []procFD            // descriptors of bpf programs, links and maps
	tuns    []procFD            // of tun and tap devices

	freezersOnce sync.Once
	freezers     freezers

	controllersOnce sync.Once
	controllers     map[string]Cgroup2 // mounts by controller; "": cgroup2
}

// Get is the process with that pid, nil when the scan did not see it.
func (p *Procs) Get(pid int) *Proc {
	if p == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(p.List, pid, func(a Proc, pid int) int { return a.PID - pid })
	if !ok {
		return nil
	}
	return &p.List[i]
}

// SocketOwner is the process with the lowest pid that has the socket open, nil
// when none is known.
func (p *Procs) SocketOwner(inode uint64) *Proc {
	if p == nil || inode == 0 {
		return nil
	}
	return p.Get(p.sockets[inode])
}

// Named are the processes with that comm, by pid.
func (p *Procs) Named(comm string) []Proc {
	if p == nil {
		return nil
	}
	var out []Proc
	for _, x := range p.List {
		if x.Name == comm {
			out = append(out, x)
		}
	}
	return out
}

// parseStat reads /proc/PID/stat (proc(5)). The comm may hold any byte,
// brackets and newlines too, so it ends at the last bracket.
func parseStat(b []byte) (Proc, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return Proc{}, fmt.Errorf("stat without a name: %.40q", b)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:open])))
	if err != nil {
		return Proc{}, fmt.Errorf("stat without a pid: %w", err)
	}
	f := bytes.Fields(b[end+1:])
	const startField = 22 - 3 // starttime is field 22, f begins with field 3
	if len(f) <= startField {
		return Proc{}, fmt.Errorf("stat of %d has %d fields", pid, len(f)+2)
	}
	start, err := strconv.ParseUint(string(f[startField]), 10, 64)
	if err != nil {
		return Proc{}, fmt.Errorf("start time of %d: %w", pid, err)
	}
	ppid, err := strconv.Atoi(string(f[1]))
	if err != nil {
		return Proc{}, fmt.Errorf("parent of %d: %w", pid, err)
	}
	return Proc{PID: pid, PPID: ppid, Name: string(b[open+1 : end]), State: string(f[0]), Start: start}, nil
}
