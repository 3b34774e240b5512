package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func sortStrings(s []string) { slices.Sort(s) }

// machine is what the readers share: the options and one look at the processes.
type machine struct {
	Options
	netns uint64 // inode of the host's namespace, 0 unknown
	procs map[int]*proc
	kids  map[int][]*proc // by parent, in order of pid
	gaps  []snap.Gap

	once    sync.Once // guards sockets
	sockets []apiSocket
}

// newMachine lists all processes once. /proc that can't be read is a Gap: then
// nothing can be checked, and no pid is believed.
func newMachine(opts Options) *machine {
	m := &machine{Options: opts, netns: opts.HostNetns, procs: map[int]*proc{}, kids: map[int][]*proc{}}
	if m.netns == 0 {
		m.netns = nsInode(m.path("/proc/thread-self/ns/net"))
	}
	names, _, err := readDir(m.path("/proc"))
	if err != nil {
		m.gaps = append(m.gaps, snap.GapOf("processes", "", err))
		return m
	}
	var pids []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		if p := m.readProc(pid); p != nil {
			m.procs[pid] = p
			m.kids[p.ppid] = append(m.kids[p.ppid], p)
		}
	}
	return m
}

// proc is one process.
type proc struct {
	pid, ppid int
	comm      string
	state     string // one letter: R S D T Z …
	start     string // field 22 of stat: tells two lives of one pid apart
	uid       int    // the owner of its /proc directory; -1 unknown
	dir       string // /proc/PID below the root
	kernel    bool
}

// readProc reads /proc/PID/stat (proc_pid_stat(5)); nil when it is gone.
func (m *machine) readProc(pid int) *proc {
	p := &proc{pid: pid, uid: -1, dir: m.path("/proc/" + strconv.Itoa(pid))}
	b, err := os.ReadFile(filepath.Join(p.dir, "stat"))
	if err != nil {
		return nil
	}
	// The name is in parentheses and may hold anything, parentheses too.
	s := string(b)
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 0 || end < open {
		return nil
	}
	f := strings.Fields(s[end+1:])
	if len(f) < 20 {
		return nil
	}
	p.comm, p.state, p.start = s[open+1:end], f[0], f[19]
	p.ppid, _ = strconv.Atoi(f[1]) // 0 when it is no number: nobody's child
	p.kernel = f[1] == "2" || pid == 2
	if st, err := os.Stat(p.dir); err == nil {
		p.uid = ownerOf(st)
		if m.Root != "" && p.uid == os.Geteuid() {
			p.uid = 0 // in a directory that stands for a machine its owner is root
		}
	}
	return p
}

// nsInode is the number in "net:[4026531840]"; 0 when it can't be read.
func nsInode(link string) uint64 {
	t, err := os.Readlink(link)
	if err != nil {
		return 0
	}
	_, t, ok := strings.Cut(t, ":[")
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(t, "]"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// netns is the inode of its network namespace; 0 when that is not told.
func (p *proc) netns() uint64 { return nsInode(filepath.Join(p.dir, "ns/net")) }

// args is its command line, at most 128 KiB; nil when it can't be read.
func (p *proc) args() []string {
	b, err := os.ReadFile(filepath.Join(p.dir, "cmdline"))
	if err != nil || len(b) == 0 {
		return nil
	}
	b = b[:min(len(b), 128<<10)]
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}

// env is a variable that it was started with, "" when it has none; not known when
// its environment can't be read.
func (p *proc) env(name string) (value string, known bool) {
	b, err := os.ReadFile(filepath.Join(p.dir, "environ"))
	if err != nil {
		return "", false
	}
	for v := range strings.SplitSeq(string(b), "\x00") {
		if val, ok := strings.CutPrefix(v, name+"="); ok {
			return val, true
		}
	}
	return "", true
}

// capEff are its effective capabilities, sixteen hexadecimal digits
// (proc_pid_status(5)); "" when they can't be read.
func (p *proc) capEff() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "status"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// cgroup is the text of /proc/PID/cgroup, "" when it can't be read.
func (p *proc) cgroup() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "cgroup"))
	if err != nil {
		return ""
	}
	return string(b)
}

// trusted says that the process belongs to root or to the user of this
// program, so that its command line and its directory are not a stranger's.
func (p *proc) trusted() bool { return p.uid == 0 || p.uid >= 0 && p.uid == os.Geteuid() }

// here says that the process lives in the host's namespace: shims, conmons and
// daemons of this host do, those of an engine inside a container do not. It is
// true as well when the namespace can't be read: then nothing tells them apart. One
// that has none any more is ending (fs/proc/namespaces.c: proc_ns_readlink). dockerd's
// threads visit its sandboxes, and stay as long as a name server there does not answer;
// the first of them, whose namespace is told as that of the process, may be among them
// (moby libnetwork/osl/namespace_linux.go: InvokeFunc).
func (m *machine) here(p *proc) bool {
	if _, err := os.Readlink(filepath.Join(p.dir, "ns/net")); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if ns := p.netns(); ns == 0 || m.netns == 0 || ns == m.netns {
		return true
	}
	tasks, _ := filepath.Glob(filepath.Join(p.dir, "task/*/ns/net"))
	return slices.ContainsFunc(tasks, func(t string) bool { return nsInode(t) == m.netns })
}

// files is the path of an engine's file for this process: through the root of
// that process when it has a mount namespace of its own and the file is there.
func (m *machine) files(p *proc, path string) string {
	if p != nil {
		own, his := nsInode(m.path("/proc/thread-self/ns/mnt")), nsInode(filepath.Join(p.dir, "ns/mnt"))
		if own != 0 && his != 0 && own != his {
			if through := filepath.Join(p.dir, "root", path); exists(through) {
				return through
			}
		}
	}
	return m.path(path)
}

// value makes the process that a snapshot keeps: its arguments are cut at 4 KiB.
func (p *proc) value() *snap.Process {
	v := &snap.Process{PID: p.pid, Name: p.comm, State: p.state}
	left := 4096
	for _, a := range p.args() {
		if left -= len(a) + 1; left < 0 {
			break
		}
		v.Args = append(v.Args, strings.ToValidUTF8(a, "\uFFFD"))
	}
	return v
}
