package ns

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Discover finds every network namespace that a process, a name file, a bind
// mount or an open descriptor leads to, each once, the host's first. Only the
// lack of a host namespace is an error; everything else that could not be
// looked at is a Gap.
func Discover(ctx context.Context, o Options) ([]Found, []snap.Gap, error) {
	var gaps []snap.Gap
	if o.Procs == nil {
		p, err := ScanProcs(ctx)
		if err != nil {
			gaps = append(gaps, snap.GapOf("processes", "", err))
			p = &Procs{}
		}
		o.Procs = p
	}
	s := &set{byInode: map[uint64]*Found{}}
	host, err := OpenHost(o.HostNS)
	if err != nil {
		return nil, gaps, err
	}
	defer host.Close() //nolint:errcheck // only a descriptor
	f := s.get(host.inode)
	f.Host = true
	f.ways = append(f.ways, way{kind: wayHeld, path: host.path})

	s.fromProcs(o.Procs)
	s.fromMounts(ctx, o.Procs)
	s.fromFiles()
	if g, ok := refusedGap(o.Procs); ok {
		gaps = append(gaps, g)
	}
	return s.list(), gaps, nil
}

// OpenHost opens the namespace that is "the host", see Options.HostNS.
func OpenHost(spec string) (*Handle, error) {
	var h *Handle
	var err error
	if spec == "" {
		h, err = Self()
	} else if pid, notPid := strconv.Atoi(spec); notPid == nil {
		h, err = OpenPid(pid)
	} else {
		h, err = Open(spec)
	}
	if err != nil {
		return nil, fmt.Errorf("host namespace: %w", err)
	}
	return h, nil
}

func (s *set) fromProcs(p *Procs) {
	for _, x := range p.List {
		if x.Netns == 0 {
			continue
		}
		f := s.get(x.Netns)
		if len(f.Pids) >= maxPids {
			continue
		}
		f.Pids = append(f.Pids, x.PID)
		f.ways = append(f.ways, way{kind: wayPid, path: fmt.Sprintf("/proc/%d/ns/net", x.PID), pid: x.PID, start: x.Start})
	}
	// A process that was just forked has its parent's descriptors until it executes
	// another program: the first and the last path are mostly of two processes.
	for inode, paths := range p.held {
		f := s.get(inode)
		for _, path := range slices.Compact([]string{paths[0], paths[len(paths)-1]}) {
			f.ways = append(f.ways, way{kind: wayHeld, path: path})
		}
	}
}

// fromMounts reads the mounts of every mount namespace: dockerd may have made
// its sandboxes in one of its own (moby daemon/libnetwork/osl).
func (s *set) fromMounts(ctx context.Context, p *Procs) {
	own, _ := os.Readlink("/proc/thread-self/ns/mnt")
	ownInode, _ := nsInode(own, "mnt")
	if b, err := os.ReadFile("/proc/thread-self/mountinfo"); err == nil {
		for inode, path := range nsMounts(b) {
			if own := Unescape(string(path)); leads(own, inode) {
				s.mount(inode, "", own)
			} else {
				s.name(inode, own)
			}
		}
	}
	seen := map[uint64]bool{ownInode: true, 0: true}
	for _, x := range p.List {
		if seen[x.Mntns] || ctx.Err() != nil {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", x.PID))
		if err != nil || len(b) == 0 {
			continue // ended: the next process of the same mount namespace will do
		}
		seen[x.Mntns] = true
		root := fmt.Sprintf("/proc/%d/root", x.PID)
		for inode, path := range nsMounts(b) {
			if !s.enough(inode, path) {
				s.mount(inode, root, Unescape(string(path)))
			}
		}
	}
}

// fromFiles looks at the known directories for names that are no mounts:
// symlinks to /proc/PID/ns/net, as people make for ip-netns(8).
func (s *set) fromFiles() {
	for _, d := range named() {
		entries, err := os.ReadDir(d)
		if err != nil {
			continue // no such directory
		}
		for _, e := range entries {
			if e.Type()&os.ModeSymlink == 0 {
				continue
			}
			path := filepath.Join(d, e.Name())
			h, err := Open(path)
			if err != nil {
				continue // the name of a namespace that is gone
			}
			s.mount(h.inode, "", path)
			_ = h.Close() // only its number was wanted
		}
	}
}

// leads says whether a file is that of the namespace, as far as its number tells.
func leads(path string, inode uint64) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Ino == inode
}

// refusedGap sums up the processes that may not be looked at. The first
// process of all does not count: root is often refused it for having fewer
// capabilities, and no container is missed by that.
func refusedGap(p *Procs) (snap.Gap, bool) {
	refused := p.Refused
	if len(refused) > 0 && refused[0] == 1 {
		refused = refused[1:]
	}
	if len(refused) == 0 {
		return snap.Gap{}, false
	}
	first := refused[0]
	name := ""
	if x := p.Get(first); x != nil {
		name = " (" + x.Name + ")"
	}
	return snap.Gap{
		What:  "namespaces of processes",
		Kind:  snap.Kind(snap.ErrPermission),
		Why:   fmt.Sprintf("the namespaces of %d processes may not be read, the first is pid %d%s", len(refused), first, name),
		Needs: "root with CAP_SYS_PTRACE and all capabilities of those processes",
	}, true
}
