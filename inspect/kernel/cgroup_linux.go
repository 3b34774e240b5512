package kernel

import (
	"path"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// cgroupHooks are the hooks of control groups that decide about packets and
// connections (linux/bpf.h: enum bpf_attach_type), as bpftool(8) calls them.
var cgroupHooks = []struct {
	name   string
	attach uint32
	kind   ebpf.ProgramType
}{
	{"cgroup_inet_ingress", 0, ebpf.CGroupSKB},
	{"cgroup_inet_egress", 1, ebpf.CGroupSKB},
	{"cgroup_inet_sock_create", 2, ebpf.CGroupSock},
	{"cgroup_inet4_connect", 10, ebpf.CGroupSockAddr},
	{"cgroup_inet6_connect", 11, ebpf.CGroupSockAddr},
	{"cgroup_udp4_sendmsg", 14, ebpf.CGroupSockAddr},
	{"cgroup_udp6_sendmsg", 15, ebpf.CGroupSockAddr},
}

// queryEffective is BPF_F_QUERY_EFFECTIVE: of the groups above, too.
const queryEffective = 1

// Cgroups finds the bpf programs of control groups. It is for one reading of one
// host, and for one goroutine.
type Cgroups struct {
	mount    ns.Cgroup2
	kinds    map[ebpf.ProgramType]bool
	known    map[string]*snap.Cgroup // by path; nil for a group without programs
	attached map[string]map[uint32][]uint32
	programs map[uint32]snap.CgroupProgram
}

// OpenCgroups is nil where the kernel has no such program, which most hosts do not,
// or where this process may not ask.
func OpenCgroups() *Cgroups {
	mount, ok := ns.FindCgroup2()
	if !ok {
		return nil
	}
	c := &Cgroups{
		mount: mount, kinds: map[ebpf.ProgramType]bool{}, known: map[string]*snap.Cgroup{},
		attached: map[string]map[uint32][]uint32{}, programs: map[uint32]snap.CgroupProgram{},
	}
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if err != nil { // the last one, or not for us to ask
			break
		}
		id = next
		if p, err := ebpf.NewProgramFromID(id); err == nil {
			c.kinds[p.Type()] = true
			_ = p.Close() // only a descriptor
		}
	}
	if !c.kinds[ebpf.CGroupSKB] && !c.kinds[ebpf.CGroupSock] && !c.kinds[ebpf.CGroupSockAddr] {
		return nil
	}
	return c
}

// Of is a group with the programs in force for it; nil when there are none. The path
// is what /proc/PID/cgroup says.
func (c *Cgroups) Of(at string) *snap.Cgroup {
	if c == nil || at == "" {
		return nil
	}
	if g, ok := c.known[at]; ok {
		return g
	}
	c.known[at] = nil
	fd, id, ok := c.open(at)
	if !ok {
		return nil
	}
	defer unix.Close(fd)
	g := &snap.Cgroup{ID: id, Path: at}
	for _, h := range cgroupHooks {
		if !c.kinds[h.kind] {
			continue
		}
		ids, err := queryPrograms(fd, h.attach, queryEffective)
		if err != nil { // a kernel without that hook, or a group that ends
			continue
		}
		for _, id := range ids {
			p := c.program(id)
			p.Hook, p.At = h.name, c.where(at, h.attach, id)
			g.Programs = append(g.Programs, p)
		}
	}
	if len(g.Programs) > 0 {
		c.known[at] = g
	}
	return c.known[at]
}

// open opens a group's directory; its inode is its id (include/linux/cgroup.h:
// cgroup_id).
func (c *Cgroups) open(at string) (fd int, id uint64, ok bool) {
	dir, ok := c.mount.Dir(at)
	if !ok {
		return -1, 0, false
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, 0, false
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, 0, false
	}
	return fd, st.Ino, true
}

// where is the nearest group from one upwards that the program itself hangs on.
func (c *Cgroups) where(at string, attach, id uint32) string {
	for ; ; at = path.Dir(at) {
		if c.attached[at] == nil {
			c.attached[at] = map[uint32][]uint32{}
		}
		ids, have := c.attached[at][attach]
		if !have {
			if fd, _, ok := c.open(at); ok {
				ids, _ = queryPrograms(fd, attach, 0) // what is not told is not known
				unix.Close(fd)
			}
			c.attached[at][attach] = ids
		}
		if slices.Contains(ids, id) {
			return at
		}
		if at == "/" || at == "." {
			return ""
		}
	}
}

// program is what is known of a program, whatever it hangs on.
func (c *Cgroups) program(id uint32) snap.CgroupProgram {
	if p, ok := c.programs[id]; ok {
		return p
	}
	x := readProgram(id)
	p := snap.CgroupProgram{ID: id, Name: x.name}
	if x.known {
		// A program that answers 2 or 3 denies or allows and tells of congestion
		// (include/linux/bpf-cgroup.h: BPF_PROG_CGROUP_INET_EGRESS_RUN_ARRAY).
		p.Always = "deny"
		if x.always&1 != 0 {
			p.Always = "allow"
		}
	} else if strings.HasPrefix(x.name, "sd_fw_") {
		p.Filter = systemdFilter(x.insns)
	}
	c.programs[id] = p
	return p
}
