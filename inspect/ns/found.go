package ns

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Options say where Discover looks. The zero value works.
type Options struct {
	// HostNS says which namespace is "the host": a path, or a pid in decimal.
	// Empty: the one that this thread is in.
	HostNS string
	// Procs is a scan made before; nil: Discover makes its own.
	Procs *Procs
}

// Found is one network namespace that exists.
type Found struct {
	Inode uint64
	// Host marks the one that is "the host"; exactly one has it.
	Host bool
	// Path is the best way to open it from here, "" for none: a name file
	// before a process, as it lives longer.
	Path string
	// Names are the base names of the files that name it, in any mount
	// namespace, those of /run/netns first.
	Names []string
	// Mounts are the mount points of those files, each as its own mount
	// namespace calls it: what Docker calls a SandboxKey.
	Mounts []string
	// Pids are processes in it, lowest first, at most 8.
	Pids []int
	ways []way
}

// maxPids is how many processes of a namespace are kept: enough to show, few
// enough for a host with thousands.
const maxPids = 8

// maxWays is how many ways to a namespace are kept, but those of files of another
// name: its processes, and as many mount namespaces.
const maxWays = 2 * maxPids

// way is one path by which a namespace can be opened, and how to tell that it
// still leads there.
type way struct {
	kind wayKind
	path string
	// root is the /proc/PID/root below which path is to be resolved (wayBelow).
	root string
	// pid and start (ticks since boot) are of the process whose namespace it
	// is; 0 for name files.
	pid   int
	start uint64
}

// wayKind says how long a way is likely to last: better ones first.
type wayKind int

const (
	wayFile  wayKind = iota // a name file in our own mount namespace
	wayPid                  // a process's own namespace
	wayBelow                // a name file in another mount namespace
	wayHeld                 // a descriptor that some process holds open
)

func (w way) String() string { return w.root + w.path }

// set collects namespaces by inode.
type set struct {
	byInode map[uint64]*Found
}

func (s *set) get(inode uint64) *Found {
	f := s.byInode[inode]
	if f == nil {
		f = &Found{Inode: inode}
		s.byInode[inode] = f
	}
	return f
}

// name notes a name file that is no way to the namespace: another mount lies over it.
func (s *set) name(inode uint64, path string) {
	f := s.get(inode)
	if !slices.Contains(f.Mounts, path) {
		f.Mounts = append(f.Mounts, path)
	}
}

// mount notes a name file.
func (s *set) mount(inode uint64, root, path string) {
	s.name(inode, path)
	f := s.get(inode)
	kind := wayFile
	if root != "" {
		kind = wayBelow
	}
	f.ways = append(f.ways, way{kind: kind, path: path, root: root})
}

// enough says that one more file of this name, as mountinfo escapes it, would tell
// nothing new: a mount namespace that was copied from another one has the same.
func (s *set) enough(inode uint64, escaped []byte) bool {
	f := s.byInode[inode]
	return f != nil && len(f.ways) >= maxWays && slices.ContainsFunc(f.Mounts, func(m string) bool { return m == string(escaped) })
}

// list gives the namespaces in a stable order: the host, then by inode.
func (s *set) list() []Found {
	out := make([]Found, 0, len(s.byInode))
	for _, f := range s.byInode {
		f.finish()
		out = append(out, *f)
	}
	snap.Sort(out, func(a, b Found) int {
		switch {
		case a.Host != b.Host:
			if a.Host {
				return -1
			}
			return 1
		case a.Inode < b.Inode:
			return -1
		}
		return 1
	})
	return out
}

// finish derives the fields that depend on all ways.
func (f *Found) finish() {
	slices.Sort(f.Pids)
	if len(f.Pids) > maxPids {
		f.Pids = f.Pids[:maxPids]
	}
	snap.Sort(f.Mounts, func(a, b string) int { return rank(a) - rank(b) })
	for _, m := range f.Mounts {
		if n := base(m); !slices.Contains(f.Names, n) {
			f.Names = append(f.Names, n)
		}
	}
	snap.Sort(f.ways, func(a, b way) int { return int(a.kind) - int(b.kind) })
	if len(f.ways) > 0 {
		f.Path = f.ways[0].String()
	}
}

// named are the directories of ip-netns(8) and of Docker.
func named() []string { return []string{"/run/netns", "/var/run/netns", "/run/docker/netns"} }

// rank orders mount points by how well known their directory is.
func rank(path string) int {
	for i, d := range named() {
		if dir(path) == d {
			return i
		}
	}
	return len(named())
}

func dir(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return "/"
}

func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}
