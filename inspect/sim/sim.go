// Package sim follows one packet, and the answer to it, through a snapshot:
// routes, bridges, netfilter hooks, NAT, conntrack, neighbours and sockets, in
// the order of the kernel. It reads nothing but the value. What it can't decide
// it calls unknown, with the reason; it never guesses.
package sim

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Flow is the packet to follow.
type Flow struct {
	From string // Netns.ID of the sender; for an outside sender the namespace it enters
	// Iif makes the packet arrive at From on this device instead of being sent
	// there: an outside source. "" for a local sender.
	Iif   string
	Src   netip.Addr // zero: chosen by the route, as the kernel does
	Dst   netip.Addr
	Proto snap.Proto // TCP, UDP, SCTP, ICMP (also for IPv6: it becomes ICMPv6)
	Sport uint16     // 0: an ephemeral port, taken as unknown but not special
	Dport uint16
	// Size is the payload in bytes beyond the transport header; 0 small.
	Size int
	DF   bool // don't fragment; implied for TCP
	// Anew: the path MTU that the sender remembers is not looked at, as this
	// program's own probes don't (IP_PMTUDISC_PROBE).
	Anew bool
	UID  *uint32 // of the sending process; nil root
	Mark uint32
	// TTL of the first packet, 0 the namespace's default.
	TTL uint8
	// StopOutside ends the walk where the packet would leave the namespaces of
	// this host (snap.NetnsClass.Ours), even when the next one is in the
	// snapshot: the cause is then CauseOutside, and IfAnswered says what becomes
	// of an answer that comes in there. It is what can be known of a real
	// host's way to the world.
	StopOutside bool
}

// Verdict of a trace; see cli.md.
type Verdict string

// The verdicts.
const (
	Delivered Verdict = "delivered" // the answer comes back to the sender
	Refused   Verdict = "refused"   // the destination's own stack answers RST or port unreachable
	Dropped   Verdict = "dropped"   // everything else, a firewall's REJECT included
	Unknown   Verdict = "unknown"
)

// Cause says what kind of thing decided, for the diagnosis.
type Cause string

// The causes.
const (
	CauseNone          Cause = ""
	CauseRule          Cause = "rule"          // a firewall rule dropped or rejected
	CausePolicy        Cause = "policy"        // a base chain's policy dropped
	CauseNoRoute       Cause = "no-route"      // ENETUNREACH
	CauseReject        Cause = "reject-route"  // blackhole, unreachable or prohibit route
	CauseRejectRule    Cause = "reject-iprule" // the same as a policy rule
	CauseForwardingOff Cause = "forwarding-off"
	CauseRPFilter      Cause = "rp-filter"
	CauseMartian       Cause = "martian"      // a source or destination that must not come in here: IP_LOCAL_SOURCE, IP_LOCALNET …
	CauseNoWayBack     Cause = "no-way-back"  // an answer that is for one of ours is sent out by a default route
	CauseLedAway       Cause = "led-away"     // what is for a container on a bridge here is sent out by another device
	CauseNATReroute    Cause = "nat-reroute"  // after NAT there is no way out
	CauseLinkDown      Cause = "link-down"    // administratively down
	CauseNoCarrier     Cause = "no-carrier"   // the other end is down or gone
	CauseNeighFailed   Cause = "neigh-failed" // nobody answers ARP or ND
	CauseOnPort        Cause = "on-port"      // the answer is taken in by the bridge that the asking device is a port of
	CauseWrongMAC      Cause = "wrong-mac"    // a permanent neighbour entry leads nowhere
	CauseDuplicate     Cause = "duplicate"    // two holders of one address: a race
	CauseBridgeNoPort  Cause = "not-a-port"   // the veth is on no bridge
	CausePortState     Cause = "port-state"   // STP state not forwarding
	CauseIsolated      Cause = "isolated"     // both ports isolated
	CauseHairpin       Cause = "hairpin"      // out of the port it came in by
	CauseVlan          Cause = "vlan"
	CauseBridgeFlood   Cause = "no-flood"    // unknown MAC or a group, and the port does not flood
	CauseNoMember      Cause = "no-member"   // the group was not joined
	CauseMTU           Cause = "mtu"         // too big, and DF or a frame larger than the receiver takes
	CauseNoListener    Cause = "no-listener" // refused: nothing listens there
	CauseNoAnswer      Cause = "no-answer"   // the stack does not answer (echo ignored, arp_ignore …)
	CauseTC            Cause = "tc"          // a traffic-control filter or qdisc
	CauseXDP           Cause = "xdp"
	CauseHook          Cause = "bpf-hook" // a bpf program on a hook of netfilter may do anything
	CauseCgroup        Cause = "cgroup"   // a bpf program of the sender's or the receiver's control group
	CauseXfrm          Cause = "xfrm"     // an IPsec policy blocks it, or wants a wrapping that it has not
	CauseTTL           Cause = "ttl"
	CauseLoop          Cause = "loop"
	CauseSelfSource    Cause = "no-source"       // no source address to send from
	CauseIPv6Off       Cause = "ipv6-off"        // disable_ipv6
	CauseOutside       Cause = "outside"         // it left what this snapshot knows
	CauseStaleConn     Cause = "stale-conntrack" // an existing entry sends it elsewhere
	CauseVxlan         Cause = "vxlan"           // no VTEP for the MAC, or the underlay dropped it
	CauseConntrackFull Cause = "conntrack-full"
	CauseUnread        Cause = "unread"        // a Gap decides
	CauseUserNAT       Cause = "user-mode-nat" // the program behind a tap device refuses it
	CauseModel         Cause = "not-modelled"  // this version does not know it
)

// Where is the place that decided.
type Where struct {
	Netns  string
	Device string
	// Layer: "link", "bridge", "neigh", "route", "netfilter", "socket", "conntrack", "tc", "vxlan", "xfrm", "cgroup".
	Layer string
	Cause Cause
	// Reason is the kernel's name: a drop reason (NETFILTER_DROP, IP_RPFILTER,
	// NEIGH_FAILED …) or the errno of the sender (ENETUNREACH …); "" when none applies.
	Reason string
	Rule   *rules.Place // with CauseRule and CausePolicy
	Left   *rules.Place // with CausePolicy: the RETURN or goto that ended the chain before its end; nil for none
	Ref    snap.Ref     // the deciding line
	// Program is the bpf program with CauseCgroup and CauseHook; Sender says that it is one of the
	// flow's sender, and not of who takes the packet.
	Program uint32
	Sender  bool
	Detail  string // one clause in words, with the names and numbers
	Reply   bool   // it happened to the answer
	// Foreign says that the answer came to the sender from another address, or another
	// port, than the one that was asked: its stack knows no such connection.
	Foreign bool
	// Behind is what stopped the question for a neighbour, when Reason is
	// NEIGH_FAILED and that is known: Netns and Device above are the asker's,
	// those in here the place's. nil otherwise.
	Behind *Where
}

// Hop is one stage of the way.
type Hop struct {
	Netns   string
	Device  string
	Stage   string // "send", "route", "neigh", "bridge br-app", "PREROUTING", "filter FORWARD", "receive", "socket" …
	Did     string // what was done: "default via 172.30.1.1", "DNAT to 172.30.1.12:80 by nat DOCKER rule 4"
	Verdict string // "ok", "drop", "reject", "refused", "delivered", "unknown"
	Rule    string // the deciding rule as its own tool prints it; "" none
	Src     netip.AddrPort
	Dst     netip.AddrPort
	Proto   snap.Proto
	Because []snap.Ref
}

// Trace is the way of one flow and of the answer to it.
type Trace struct {
	Flow    Flow
	Verdict Verdict
	Where   *Where // what decided, for every verdict but Delivered
	Forward []Hop
	Reply   []Hop
	// Arrived says that the request reached a socket or the stack of its
	// destination, and where; "" when not.
	Arrived   string         // Netns.ID
	ArrivedAs netip.AddrPort // destination as it was on arrival, after NAT
	CameBack  string         // device of the sender by which the answer comes in; "" when none does
	Socket    *snap.Socket   // that took it; nil for ICMP and refused
	// Proxy is the second leg when the socket belongs to docker-proxy (or the
	// like): from the proxy to the container. The verdict counts it in.
	Proxy *Trace
	// Relay is the second leg of what a program carries on that answers the sender once
	// it is answered itself (slirp4netns, pasta). All of it is in this trace, too.
	Relay *Trace
	// LeftHost is the device by which the request left the namespaces of this
	// host (snap.NetnsClass.Ours), "" when it stayed.
	LeftHost  string
	LeftNetns string
	// ExitSrc and ExitDst are the packet's addresses as it left there.
	ExitSrc netip.AddrPort
	ExitDst netip.AddrPort
	// IfAnswered, when the way beyond the host is not known: what would become
	// of an answer. Verdict is then Unknown with CauseOutside, or Dropped if even
	// an answer could not come back.
	IfAnswered Verdict
	// Unknown are the reasons of an unknown verdict, or of branches that did
	// not matter.
	Unknown []string
	// StateDependent says that an unknown verdict is due to rates or chance only.
	StateDependent bool
	// Branches are the outcomes of the forks, when they differ; nil otherwise.
	Branches []BranchOutcome
	// NATed lists the mappings made, in order; where there are several ways, those of
	// the first, and MayNAT those that only others make.
	NATed  []rules.NAT
	MayNAT []rules.NAT
	// Routes are the routing decisions of both directions, in order.
	Routes []RouteAsk
	// Later says that the first packet and the answer to it get through, and which of
	// the ones after them do not (World.Later); "" when this is about the first ones.
	Later Later
	// Size goes with Later: bytes of data of the packet that is dropped, with
	// LaterMuch what the connection had carried each way before. 0 else.
	Size int
}

// BranchOutcome is one side of a fork that mattered.
type BranchOutcome struct {
	Assumed []rules.Assumption
	Verdict Verdict
	Where   *Where
	Chance  float64
}
