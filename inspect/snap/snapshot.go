// Package snap is the value that everything else thinks about: one host's
// networking, read once, as plain data. It holds types only, with Clone, Ref
// look-up and a versioned JSON form. It does no input or output and runs on
// any platform.
//
// Zero values mean "not there". "Could not be read" is never a zero value: it
// is a Gap that names the noun and the namespace.
package snap

import (
	"strings"
	"time"
)

// Schema is the version of the JSON form that this package writes. Load
// refuses a file with a higher one.
const Schema = 1

// Snapshot is the state of one host at one time. It is immutable once
// inspect.Read has returned it; whoever wants a changed one works on a Clone.
type Snapshot struct {
	Schema int    `json:"schema"`
	Tool   string `json:"tool"` // name and version of the program that took it
	Taken  Window `json:"taken"`
	// Redacted lists what was replaced by pseudonyms; empty means nothing was.
	Redacted []string `json:"redacted"`

	Host       Host        `json:"host"`
	Netns      []Netns     `json:"netns"`               // the host's first, the others by ID
	Engines    []Engine    `json:"engines"`             // who runs containers here
	Containers []Container `json:"containers"`          // of every engine, one shape, running or not
	Networks   []Network   `json:"networks"`            // of every engine, one shape
	Resolvers  []Resolver  `json:"resolvers"`           // the host's and each container's name service files
	Probes     []Probe     `json:"probes"`              // answers of live probes, in the order sent
	Observers  []Observer  `json:"observers,omitempty"` // who watched the probes
	Tracked    []Tracked   `json:"tracked,omitempty"`   // what conntrack has of them
	Gaps       []Gap       `json:"gaps"`                // what could not be read
	// Prober are the bpf programs of control groups that the probes of this program
	// pass through.
	Prober []uint32 `json:"prober,omitempty"`
	// Hosts are the names of the hosts when this is several snapshots joined
	// (inspect/join); nil for one host.
	Hosts []string `json:"hosts,omitempty"`
}

// Window is the time in which a snapshot was read.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Torn counts reads that had to be repeated because the kernel said that
	// the table changed meanwhile (NLM_F_DUMP_INTR, a new nf_tables generation).
	Torn int `json:"torn"`
}

// Host is what is known of the machine itself.
type Host struct {
	Name    string   `json:"name"`
	Kernel  string   `json:"kernel"` // uname -r
	Arch    string   `json:"arch"`   // uname -m
	Distro  string   `json:"distro"` // PRETTY_NAME of os-release, "" when unknown
	Netns   string   `json:"netns"`  // ID of the namespace that is "the host", normally "host"
	BootID  string   `json:"bootId"`
	Modules []string `json:"modules"` // names of loaded modules that matter here: br_netfilter, nf_tables, ip_tables, ip_vs …
	// Tools holds the host programs that fixes could use, by name, with their
	// absolute path ("iptables-nft": "/usr/sbin/iptables-nft"). Missing ones are absent.
	Tools map[string]string `json:"tools"`
	// SysctlFiles are the lines of /etc/sysctl.conf and sysctl.d that set
	// something under net; who sets ip_forward at boot is told from them.
	SysctlFiles []SysctlLine `json:"sysctlFiles"`
	// Services holds daemons that own parts of the network, by name
	// ("firewalld", "ufw", "NetworkManager", "systemd-resolved", "dockerd",
	// "kube-proxy", "fail2ban-server"), with their pid (0: installed, not running).
	Services map[string]int `json:"services"`
}

// SysctlLine is one assignment in a sysctl configuration file.
type SysctlLine struct {
	File  string `json:"file"`
	Line  int    `json:"line"` // from 1
	Key   string `json:"key"`  // "net/ipv4/ip_forward"
	Value string `json:"value"`
}

// Netns is one network namespace with everything in it.
type Netns struct {
	// ID is how this namespace is called on screen and in a Ref: "host", the
	// name of its container ("web"), the name of its file ("blue"), else
	// "pid:1234" or "ns:4026532281". It is unique in the snapshot.
	ID     string `json:"id"`
	Inode  uint64 `json:"inode"`            // of /proc/PID/ns/net; unique while the namespace lives
	Cookie uint64 `json:"cookie,omitempty"` // SO_NETNS_COOKIE; never reused while the machine runs; 0 unknown
	// Path is a file by which the namespace can be opened from the host's mount
	// namespace: /proc/PID/ns/net or /run/netns/NAME. "" when none is known.
	Path string `json:"path"`
	// Names are the files that name it (ip netns), base names only.
	Names []string `json:"names"`
	// Containers are the Container.Ref values of those that live in it, the
	// owner of the sandbox first.
	Containers []string `json:"containers"`
	Pids       []int    `json:"pids"` // some processes in it (at most 8), lowest first
	// Class says what it is to this host: "host", "container" (an engine's),
	// "attached" (hangs on a bridge or link of the host), "sandbox" (an
	// engine's own helper: ingress_sbox, lb_…, overlay), "outside" (reached
	// through the host's uplink only), "foreign" (no link to this host).
	Class NetnsClass `json:"class"`
	// NSIDs maps the netns ids that this namespace uses for its peers
	// (RTM_GETNSID) to their Netns.ID.
	NSIDs map[int]string `json:"nsids,omitempty"`

	Links    []Link           `json:"links"`
	Addrs    []Addr           `json:"addrs"`
	Rules    []PolicyRule     `json:"rules"`
	Routes   []Route          `json:"routes"` // of all tables, as dumped
	Nexthops []NexthopObject  `json:"nexthops,omitempty"`
	Learned  []RouteException `json:"learned,omitempty"` // redirects and path MTUs
	Neighs   []Neigh          `json:"neighs"`
	FDB      []FDBEntry       `json:"fdb"`
	// Groups are the multicast groups that devices have joined; MDB tells which ports
	// asked for which, and is read only of bridges that go by it.
	Groups  []Group           `json:"groups,omitempty"`
	MDB     []MDBEntry        `json:"mdb,omitempty"`
	Vlans   []BridgeVlan      `json:"vlans,omitempty"`
	Sysctls map[string]string `json:"sysctls"` // "net/ipv4/conf/all/rp_filter" → "0"; slashes, as interface names hold dots
	Ruleset Ruleset           `json:"ruleset"`
	IPSets  []IPSet           `json:"ipsets,omitempty"`
	// Recent and HashLimits are what xt's matches of these names have counted.
	Recent     []RecentList  `json:"recent,omitempty"`
	HashLimits []HashLimit   `json:"hashLimits,omitempty"`
	IPVS       []IPVSService `json:"ipvs,omitempty"`
	Xfrm       *Xfrm         `json:"xfrm,omitempty"` // nil: no IPsec
	Conntrack  []Conn        `json:"conntrack,omitempty"`
	// ConntrackMax and ConntrackCount are nf_conntrack_max and _count; 0 unknown.
	ConntrackMax   int `json:"conntrackMax,omitempty"`
	ConntrackCount int `json:"conntrackCount,omitempty"`
	// RPFiltered counts the packets that the reverse-path filter dropped so far
	// (TcpExt IPReversePathFilter); of the host only, 0 none or not known.
	RPFiltered int64 `json:"rpFiltered,omitempty"`
	// NFQueues are the numbers of the queues that programs read from, of
	// NFQUEUE and nft's queue; nil: not known.
	NFQueues []uint16 `json:"nfQueues,omitzero"`
	Sockets  []Socket `json:"sockets"` // listening TCP/SCTP/MPTCP, bound UDP and raw; with their process
	// Trying are TCP sockets that have sent their SYN again and have no answer:
	// programs that wait for a connection now. At most 64.
	Trying []Socket `json:"trying,omitempty"`
	// Held are TCP sockets with a connection whose local port a container publishes
	// that could not start ("address already in use"); of the host only.
	Held []Socket `json:"held,omitempty"`
	// Estab counts connected TCP sockets by destination, for port exhaustion:
	// the 32 largest.
	Estab []SocketCount `json:"estab,omitempty"`
	// RouteAnswers are the kernel's own answers to RTM_GETROUTE, the second
	// witness of the simulator's route walk.
	RouteAnswers []RouteAnswer `json:"routeAnswers,omitempty"`
	// Cgroups are the control groups of its processes and sockets that bpf programs
	// watch over; Senders the groups of its processes, 0 for all those without
	// programs. Of the host's processes this program stands for all.
	Cgroups []Cgroup `json:"cgroups,omitempty"`
	Senders []uint64 `json:"senders,omitempty"`
	// Light says that only links and addresses were read, because nothing
	// connects the namespace to this host.
	Light bool `json:"light,omitempty"`
}

// IPNetns is the name that ip-netns(8) has for it: that of a file in /run/netns, and of
// none elsewhere, where engines keep theirs. "" when it has none.
func (n *Netns) IPNetns() string {
	for _, dir := range []string{"/run/netns/", "/var/run/netns/"} {
		if name, ok := strings.CutPrefix(n.Path, dir); ok {
			return name
		}
	}
	return ""
}

// NetnsClass is what a namespace is to this host; see Netns.Class.
type NetnsClass string

// The classes of namespaces.
const (
	ClassHost      NetnsClass = "host"
	ClassContainer NetnsClass = "container"
	ClassAttached  NetnsClass = "attached"
	ClassSandbox   NetnsClass = "sandbox"
	ClassOutside   NetnsClass = "outside"
	ClassForeign   NetnsClass = "foreign"
)

// Ours says whether the namespace belongs to this host: whether its contents
// are this host's to judge and to mend.
func (c NetnsClass) Ours() bool {
	return c == ClassHost || c == ClassContainer || c == ClassAttached || c == ClassSandbox
}
