// Package rules runs a packet through the rule sets of one namespace exactly
// as the kernel does: nftables' register machine, and xt matches and targets
// for iptables-nft, iptables-legacy and ebtables, in one evaluator.
//
// Conditions are three-valued. What can't be decided forks the packet: it goes
// on both ways, and each way remembers what was assumed, so that the same
// unknown is never decided both ways on one path.
package rules

import (
	"net/netip"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Packet is one packet as the hooks see it. It is a value: running it through
// chains gives changed copies.
type Packet struct {
	Family   snap.Family // snap.IPv4 or snap.IPv6; snap.ARP for ARP on bridges
	Proto    uint8       // IP protocol
	Src      netip.Addr
	Dst      netip.Addr
	Sport    uint16 // of TCP, UDP, SCTP; ICMP id for echo
	Dport    uint16 // 0 for ICMP
	ICMPType uint8
	ICMPCode uint8
	TCPFlags uint8  // of TCPFIN …
	TCPMSS   uint16 // MSS option of a SYN, 0 none
	TTL      uint8
	TOS      uint8 // whole byte: DSCP and ECN
	Len      int   // IP total length, bytes
	DF       bool
	Frag     bool   // not the first fragment
	Payload  []byte // transport payload where it is known; nil unknown

	SrcMAC    string
	DstMAC    string
	EtherType uint16 // 0x0800, 0x86dd, 0x0806
	VLAN      int    // 0 none
	PktType   string // "host", "broadcast", "multicast", "otherhost", "" on output

	// Devices as this hook gives them; 0: none (iif in POSTROUTING of bridged
	// packets, oif before routing).
	Iif, Oif        int
	PhysIn, PhysOut int  // bridge ports, while br_netfilter runs IP hooks for a bridged frame
	PhysBridged     bool // physdev's is-bridged: bridged, not routed

	Mark uint32
	// MarkUnknown are the bits of Mark that are not known: a rule has set them
	// from something that can't be told. They are 0 in Mark.
	MarkUnknown uint32
	Priority    uint32
	CT          CT
	// ARPOp is the operation of an ARP packet, 1 request and 2 reply; 0 unknown.
	ARPOp uint16
	// IPsec says that the packet came out of a tunnel, or will go into one.
	IPsec bool
	// IPVS says that IPVS has handled the packet.
	IPVS bool
	// Sender of a local packet; nil when it came from a device.
	Local *Sender

	// Recent is what rules did to xt_recent's lists, and to sets, for this packet.
	Recent []RecentTouch

	// Assumed are the unknown conditions decided so far on this path.
	Assumed []Assumption
}

// Bits of Packet.TCPFlags (RFC 9293, section 3.1; the last two RFC 3168).
const (
	TCPFIN = 1 << iota
	TCPSYN
	TCPRST
	TCPPSH
	TCPACK
	TCPURG
	TCPECE
	TCPCWR
)

// RecentTouch is a stamp that a packet left in a list of xt_recent, or that it took an
// address off it; of a set only which one it was is told.
type RecentTouch struct {
	List    string
	Addr    netip.Addr
	Removed bool
}

// Sender is the local process that made a packet.
type Sender struct {
	UID, GID uint32
	KnownID  bool // UID and GID are known
	Cgroup   string
}

// CT is what conntrack attached to the packet.
type CT struct {
	// State is "new", "established", "related", "invalid", "untracked", or ""
	// before conntrack ran.
	State                         string
	Reply                         bool // direction: reply
	SNAT                          bool // IPS_SRC_NAT: set when a mapping was made
	DNAT                          bool
	SeenReply, Assured, Confirmed bool
	Mark                          uint32
	MarkUnknown                   uint32     // as Packet.MarkUnknown
	Orig                          snap.Tuple // as first seen, before NAT
	ReplyTuple                    snap.Tuple // after NAT
	Zone                          uint16
	ZoneDir                       string // "original" or "reply": the zone is of that direction alone
	Helper                        string
	Label                         []byte
	// Packets and Bytes are what the connection has had in each direction, this packet
	// counted in; Counted says that they are known.
	Packets, Bytes [2]uint64
	Counted        bool
}

// Assumption is an unknown condition that a path has taken to be so.
type Assumption struct {
	Key   string // identity: the same key is the same condition
	What  string // in words: "statistic random 0.5 in nat KUBE-SVC-1 rule 2"
	Value bool
	// Chance is the probability of this side where the rule gives it
	// (statistic, numgen); 0 unknown.
	Chance float64
	// StateDependent: depends on rates, counters, time or chance, not on
	// something this program failed to understand.
	StateDependent bool
}

// Place is what decided: a rule, a policy.
type Place struct {
	System snap.System
	Family snap.Family
	Table  string
	Chain  string
	Handle uint64 // 0 for legacy
	Num    int    // from 1; 0 for a policy
	Policy bool
	Ref    snap.Ref // filled by the caller, who knows the namespace
	Rule   *snap.Rule
	ChainP *snap.Chain
	TableP *snap.Table
}

// Step is a rule that matched on the way.
type Step struct {
	*Place
	// Maybe: it matched on one side of a fork whose sides came together again,
	// so that it may or may not have matched.
	Maybe bool
}

// NAT is the mapping a nat chain asks for.
type NAT struct {
	Kind    string     // "dnat", "snat", "masquerade", "redirect", "netmap"
	Src     bool       // maps the source (snat, masquerade, netmap in POSTROUTING)
	AddrMin netip.Addr // invalid: keep (masquerade and redirect choose it)
	AddrMax netip.Addr
	PortMin uint16 // 0: keep
	PortMax uint16
	Random  bool // the port is chosen at random
	// Prefix is the network of a netmap.
	Prefix netip.Prefix
	Place  *Place
}

// Branch is one way that a packet can leave a chain.
type Branch struct {
	// Verdict is "accept", "drop", "reject", "queue", "stolen" (left the stack),
	// or "unknown" when no side of a fork could be followed.
	Verdict string
	Packet  Packet // as it is afterwards
	// RejectWith is "tcp-reset" or "icmp:TYPE/CODE" with Verdict "reject".
	RejectWith string
	NAT        *NAT // a mapping was asked for (nat chains), Verdict is "accept"
	// Notrack was asked for.
	Notrack bool
	// Tproxy or socket redirection, zero none.
	Tproxy netip.AddrPort
	Place  *Place // what decided; of the program, not to be written to
	// Also are other places that decide just the same, where forks came
	// together again.
	Also []*Place
	// FwdTo is the device a packet was sent out of by nft's fwd, with Verdict
	// "stolen"; 0 none or not known.
	FwdTo int
	Path  []Step // rules that matched on the way: jumps, marks, logs; the decider last
	// Unknown says why, with Verdict "unknown".
	Unknown string
	// Why says more of a drop: what the rule hands the packet to is not there.
	Why string
}

// Env answers what a rule may ask about its namespace.
type Env interface {
	// Link is the device with that ifindex; nil when there is none.
	Link(ifindex int) *snap.Link
	// AddrType is the kernel's inet_addr_type of an address: "unicast",
	// "local", "broadcast", "multicast", "anycast", "blackhole", "unreachable",
	// "prohibit"; with dev != 0 only addresses of that device count as local.
	AddrType(a netip.Addr, dev int) string
	// FIB does a look-up as nft's fib expression and xt_rpfilter do: the output
	// device for dst, with src, iif and mark as given (zero: not given); ok
	// false: no route.
	FIB(q FIBQuery) (oif int, typ string, ok bool)
	// IPSet is nil when there is none of that name.
	IPSet(name string) *snap.IPSet
	// IPSetAt finds an ipset by snap.IPSet.Index, which is how xt's set match
	// names it; nil when it was not read.
	IPSetAt(index int) *snap.IPSet
	// Recent is xt_recent's list of that name, HashLimit xt_hashlimit's table; nil
	// when it was not read.
	Recent(name string) *snap.RecentList
	HashLimit(name string, fam snap.Family) *snap.HashLimit
	// Sysctl by key with slashes.
	Sysctl(key string) (string, bool)
	// Socket says whether a local socket would take the packet, for the socket
	// match: known false when it can't be told.
	Socket(p *Packet, transparent bool) (found, known bool)
	// Connections counts what conntrack has open from one network, of which mask cuts the
	// address, or to one; known false when not all of its table was read.
	Connections(a, mask netip.Addr, to bool) (n uint32, known bool)
	// Queued says whether a program reads from a netfilter queue.
	Queued(num uint16) (taken, known bool)
	// DeviceAddr is a device's first address of a family, which TPROXY takes
	// when it is given none; invalid when there is none.
	DeviceAddr(dev int, fam snap.Family) netip.Addr
	Now() time.Time
}

// FIBQuery is one look-up.
type FIBQuery struct {
	Dst, Src netip.Addr
	Iif      int
	// Oif is the device that the rule asks about: where the route has several
	// nexthops and one of them uses it, the answer is that one
	// (net/ipv4/fib_semantics.c:fib_info_nh_uses_dev), else the first. 0: none.
	Oif   int
	Mark  uint32
	TOS   uint8
	Proto uint8
	Sport uint16
	Dport uint16
}
