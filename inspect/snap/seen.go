package snap

import "net/netip"

// Observer is one way to watch what becomes of probes, and whether it was there.
type Observer struct {
	Name string `json:"name"` // "tracepoints", "counters", "packet-sockets", "rule-trace"
	Have bool   `json:"have"`
	// Why it was not there, or what it could not see; "" when nothing.
	Why string `json:"why,omitempty"`
	// Needs is what it would take: "CAP_BPF". "" nothing helps.
	Needs string `json:"needs,omitempty"`
	// Spared says that it was not needed, as another one tells more.
	Spared bool `json:"spared,omitempty"`
}

// What a Seen tells.
const (
	SeenReceive  = "receive"  // a device handed it to the stack
	SeenTransmit = "transmit" // the stack handed it to a device
	SeenDrop     = "drop"     // the kernel freed it unserved
)

// Seen is one sighting of one packet of a probe, or of the answer to it.
type Seen struct {
	What   string `json:"what"`   // SeenReceive, SeenTransmit, SeenDrop
	Netns  string `json:"netns"`  // Netns.ID
	Device string `json:"device"` // "" when the packet was on none
	// Src and Dst are its addresses there; the ports are 0 for ICMP.
	Src   netip.AddrPort `json:"src"`
	Dst   netip.AddrPort `json:"dst"`
	Proto Proto          `json:"proto,omitempty"`
	// Answer says that it is on its way back.
	Answer bool `json:"answer,omitempty"`
	// ICMP is set when the packet is an ICMP error that quotes the probe's.
	ICMP *ICMPInfo `json:"icmp,omitempty"`
	// RST says that it is a TCP reset.
	RST bool `json:"rst,omitempty"`
	TTL int  `json:"ttl,omitempty"`
	// Reason and Func are the kernel's, of a drop: "NETFILTER_DROP" in
	// "nft_do_chain". "" when this kernel does not say, or may not.
	Reason string `json:"reason,omitempty"`
	Func   string `json:"func,omitempty"`
	// Times is how often the same was seen; 0 is once.
	Times int `json:"times,omitempty"`
	// AfterMs is the time since the first sighting.
	AfterMs float64 `json:"afterMs"`
}

// Counted is a counter that grew while a known number of packets of one flow
// was sent.
type Counted struct {
	Netns string `json:"netns"`
	// Ref is the rule, or the chain whose policy it was; "" for a counter of the
	// stack, which Name then names ("IpInAddrErrors").
	Ref  Ref    `json:"ref,omitempty"`
	Name string `json:"name,omitempty"`
	// Sent are the packets of each burst, Grew what it grew by in each.
	Sent []int   `json:"sent"`
	Grew []int64 `json:"grew"`
}

// Exact says whether the counter grew by the packets that were sent, or by the
// same multiple of them in each burst: by nothing else.
func (c *Counted) Exact() bool {
	if len(c.Sent) == 0 || len(c.Grew) != len(c.Sent) || c.Sent[0] == 0 {
		return false
	}
	times := c.Grew[0] / int64(c.Sent[0])
	for i, n := range c.Sent {
		if c.Grew[i] != times*int64(n) {
			return false
		}
	}
	return times > 0
}

// ListenOverflows counts connections for which a listener's queue had no room.
const ListenOverflows = "TcpExtListenOverflows"

// StackReasons are the stack's own counters that tell of a packet's end, with
// the drop reason that the kernel has for the same (net/ipv4/route.c:ip_error,
// net/ipv4/ip_input.c:ip_rcv_finish_core, net/ipv4/ip_output.c). "" where one
// counter stands for several.
var StackReasons = map[string]string{
	"IpInAddrErrors":            "IP_INADDRERRORS",
	"IpExtInNoRoutes":           "IP_INNOROUTES",
	"TcpExtIPReversePathFilter": "IP_RPFILTER",
	"IpOutNoRoutes":             "IP_OUTNOROUTES",
	"IpInHdrErrors":             "IP_INHDR",
	"IpFragFails":               "PKT_TOO_BIG",
	"IpInDiscards":              "",
	"IpOutDiscards":             "",
	"UdpNoPorts":                "NO_SOCKET",
	ListenOverflows:             "", // net/ipv4/tcp_input.c: tcp_conn_request
}

// Ruled is one rule, or policy, that a packet of a probe met, as the kernel's
// own trace tells of it.
type Ruled struct {
	Netns  string `json:"netns"`
	System System `json:"system"`
	Family Family `json:"family"`
	Table  string `json:"table"`
	Chain  string `json:"chain"`
	// Handle is nf_tables' number of the rule, Num its place in its chain, from 1;
	// 0 not told. Both are 0 for a policy.
	Handle uint64 `json:"handle,omitempty"`
	Num    int    `json:"num,omitempty"`
	Policy bool   `json:"policy,omitempty"`
	// Verdict is "accept", "drop", "jump CHAIN" and so on; "" where the kernel
	// does not tell (legacy tables).
	Verdict string `json:"verdict,omitempty"`
	// Answer says that the packet was on its way back.
	Answer bool `json:"answer,omitempty"`
}
