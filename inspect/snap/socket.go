package snap

import (
	"fmt"
	"net/netip"
	"strings"
)

// Proto is a transport protocol: "tcp", "udp", "sctp", "icmp", "icmp6" and others by name.
type Proto string

// The protocols that flows use.
const (
	TCP    Proto = "tcp"
	UDP    Proto = "udp"
	SCTP   Proto = "sctp"
	ICMP   Proto = "icmp"
	ICMPv6 Proto = "icmp6"
)

// Number is the IP protocol number; 0 for an unknown name.
func (p Proto) Number() uint8 {
	switch p {
	case TCP:
		return IPProtoTCP
	case UDP:
		return IPProtoUDP
	case SCTP:
		return IPProtoSCTP
	case ICMP:
		return IPProtoICMP
	case ICMPv6:
		return IPProtoICMPv6
	case "udplite":
		return IPProtoUDPLite
	}
	return 0
}

// Socket is a socket that can receive: listening TCP or SCTP, bound UDP; of
// Netns.Trying one of TCP that tries to connect; of Netns.Held one with a connection.
type Socket struct {
	Proto  Proto          `json:"proto"`
	Family Family         `json:"family"` // of the socket; an IPv6 one may take IPv4 too
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote,omitzero"` // of a connected UDP socket, or of TCP's that has or wants a peer
	V6Only bool           `json:"v6Only,omitempty"`
	Device int            `json:"device,omitempty"` // SO_BINDTODEVICE, ifindex
	UID    uint32         `json:"uid"`
	Inode  uint64         `json:"inode"`
	// Queue and Backlog of a listener: connections not yet accepted, and the
	// most there may be (tcpi_unacked, tcpi_sacked of ss). Of a UDP socket: bytes that
	// wait to be read and room for them, told only where they leave none.
	Queue   int `json:"queue,omitempty"`
	Backlog int `json:"backlog,omitempty"`
	// WaitMs is how long the oldest of those connections waits at least, in
	// milliseconds; of several listeners on the port, that of all of them.
	WaitMs int64 `json:"waitMs,omitempty"`
	// Repeats is how often one that tries has sent its SYN again (idiag_retrans):
	// after 1, 2, 4, 8 s.
	Repeats int `json:"repeats,omitempty"`
	// BPF says that a socket filter or a reuseport program is attached.
	BPF bool `json:"bpf,omitempty"`
	// Cgroup is the Cgroup.ID of the control group that it was made in, if bpf
	// programs watch over that.
	Cgroup  uint64   `json:"cgroup,omitempty"`
	Process *Process `json:"process,omitempty"` // nil: not found
}

// Process owns a socket or a container.
type Process struct {
	PID   int    `json:"pid"`
	Name  string `json:"name"`            // comm
	State string `json:"state,omitempty"` // "R", "S", "T" stopped, "Z", "D"
	// Frozen says that its control group is frozen, of those that have sockets.
	Frozen bool `json:"frozen,omitempty"`
	// FrozenBy are the files that say so, cgroup.freeze or freezer.state of its
	// group and of those above it: where it is thawed by. nil with Frozen: not known.
	FrozenBy []string `json:"frozenBy,omitempty"`
	// Args is its command line, at most 4 KiB; redacted bundles leave it out,
	// save docker-proxy's.
	Args []string `json:"args,omitempty"`
	// CapEff are its effective capabilities as /proc/PID/status shows them, of
	// containers' first processes; "" not known.
	CapEff string `json:"capEff,omitempty"`
	// UID and Groups are those of a device's reader (Link.Reader); nil not known.
	UID    *uint32 `json:"uid,omitempty"`
	Groups []int   `json:"groups,omitempty"`
	// Files and FilesMax are how many files it has open and may have, of processes
	// that let connections wait; FilesMax is 0 where that is not known or not limited.
	Files    int `json:"files,omitempty"`
	FilesMax int `json:"filesMax,omitempty"`
	// Netns is the Netns.ID it lives in, which may differ from the socket's
	// (dockerd's resolver sockets sit in the containers).
	Netns string `json:"netns,omitempty"`
}

// Who names the process as people look for it: "nginx (pid 812)".
func (p *Process) Who() string { return fmt.Sprintf("%s (pid %d)", p.Name, p.PID) }

// Holder names the process that holds the socket; otherwise is what is said where
// that is not known, or for nil.
func (s *Socket) Holder(otherwise string) string {
	if s == nil || s.Process == nil {
		return otherwise
	}
	return s.Process.Who()
}

// UserNAT says whether the process is one that carries a user's own containers out of
// their namespace by sockets of its own, without root (slirp4netns(1), passt(1)).
func (p *Process) UserNAT() bool {
	return p != nil && (p.Name == "slirp4netns" || strings.HasPrefix(p.Name, "pasta"))
}

// UserNAT is the device of the namespace behind which is such a process; nil for none.
func (ns *Netns) UserNAT() *Link {
	for i := range ns.Links {
		if ns.Links[i].Reader.UserNAT() {
			return &ns.Links[i]
		}
	}
	return nil
}

// UserServer is the address at which that process takes questions for the host's name
// servers; invalid for none.
func (ns *Netns) UserServer() netip.Addr {
	l := ns.UserNAT()
	if l == nil {
		return netip.Addr{}
	}
	if l.Reader.Name == "slirp4netns" {
		for _, a := range ns.AddrsOf(l.Index) {
			if _, off := l.Reader.Arg("--disable-dns"); a.Prefix.Addr().Is4() && !off {
				return a.Prefix.Masked().Addr().Next().Next().Next() // 10.0.2.3
			}
		}
	}
	v, _ := l.Reader.Arg("--dns-forward")
	a, _ := netip.ParseAddr(v)
	return a
}

// Arg is the value of an option of its command line, "" when it is not there; has says
// whether it is.
func (p *Process) Arg(name string) (value string, has bool) {
	for i, a := range p.Args {
		if v, ok := strings.CutPrefix(a, name+"="); ok {
			return v, true
		}
		if a == name {
			if i+1 < len(p.Args) {
				value = p.Args[i+1]
			}
			return value, true
		}
	}
	return "", false
}

// SocketCount counts connections to one destination.
type SocketCount struct {
	Remote netip.AddrPort `json:"remote"`
	Count  int            `json:"count"`
}

// Conn is one conntrack entry.
type Conn struct {
	Family Family `json:"family"`
	Proto  uint8  `json:"proto"`
	Orig   Tuple  `json:"orig"`
	Reply  Tuple  `json:"reply"`
	// Status bits by name: "expected", "seen-reply", "assured", "confirmed",
	// "snat", "dnat", "dying", "fixed-timeout", "helper", "offload".
	Status    []string `json:"status,omitempty"`
	TCPState  string   `json:"tcpState,omitempty"`
	TimeoutMs int64    `json:"timeoutMs"`
	Mark      uint32   `json:"mark,omitempty"`
	Zone      uint16   `json:"zone,omitempty"`
	Helper    string   `json:"helper,omitempty"`
	ID        uint32   `json:"id,omitempty"`
}

// Tuple is one direction of a connection. For ICMP the ports hold the id in
// Src.Port and type<<8|code in Dst.Port.
type Tuple struct {
	Src netip.AddrPort `json:"src"`
	Dst netip.AddrPort `json:"dst"`
}

// IPSet is one set of ipset(8).
type IPSet struct {
	Name    string       `json:"name"`
	Type    string       `json:"type"` // "hash:ip", "hash:net,port" …
	Family  Family       `json:"family"`
	Entries []IPSetEntry `json:"entries"`
	// Truncated says that not all entries were read.
	Truncated  bool `json:"truncated,omitempty"`
	Counters   bool `json:"counters,omitempty"`
	References int  `json:"references,omitempty"`
	// Index is the number by which xt's set match and SET target refer to it;
	// -1 when the kernel does not tell (before 4.20).
	Index int `json:"index"`
	// Netmask is the prefix length that looked-up addresses are cut to in sets
	// of single addresses, MarkMask what marks are masked with; 0 none.
	Netmask  uint8  `json:"netmask,omitempty"`
	MarkMask uint32 `json:"markMask,omitempty"`
}

// IPSetEntry is one element of an ipset.
type IPSetEntry struct {
	IP      netip.Prefix `json:"ip,omitzero"`
	IPTo    netip.Addr   `json:"ipTo,omitzero"`
	IP2     netip.Prefix `json:"ip2,omitzero"`
	Proto   uint8        `json:"proto,omitempty"`
	Port    uint16       `json:"port,omitempty"`
	PortTo  uint16       `json:"portTo,omitempty"`
	Iface   string       `json:"iface,omitempty"`
	MAC     string       `json:"mac,omitempty"`
	Mark    uint32       `json:"mark,omitempty"`
	Set     string       `json:"set,omitempty"` // member of a list:set
	NoMatch bool         `json:"noMatch,omitempty"`
	// TimeoutS is what is left of its time; 0: it stays.
	TimeoutS uint32 `json:"timeoutS,omitempty"`
	// PhysDev says that Iface is a bridge port, Wildcard that it is a prefix.
	PhysDev  bool `json:"physDev,omitempty"`
	Wildcard bool `json:"wildcard,omitempty"`
}

// IPVSService is one virtual service of IPVS.
type IPVSService struct {
	Family Family         `json:"family"`
	Proto  uint8          `json:"proto,omitempty"`
	Addr   netip.AddrPort `json:"addr,omitzero"`
	FWMark uint32         `json:"fwmark,omitempty"`
	Sched  string         `json:"sched"`
	Dests  []IPVSDest     `json:"dests"`
}

// IPVSDest is a real server.
type IPVSDest struct {
	Addr   netip.AddrPort `json:"addr"`
	Weight int            `json:"weight"`
	Method string         `json:"method"` // "masq", "tunnel", "route", "local"
}
