package snap

import (
	"net/netip"
	"slices"
)

// Family is "ipv4" or "ipv6"; in rule sets also "inet", "arp", "bridge", "netdev".
type Family string

// The families.
const (
	IPv4         Family = "ipv4"
	IPv6         Family = "ipv6"
	Inet         Family = "inet"
	ARP          Family = "arp"
	BridgeFamily Family = "bridge"
	Netdev       Family = "netdev"
)

// NFT is the family as nft(8) writes it: "ip", "ip6", "inet", …
func (f Family) NFT() string {
	switch f {
	case IPv4:
		return "ip"
	case IPv6:
		return "ip6"
	case Inet, ARP, BridgeFamily, Netdev:
	}
	return string(f)
}

// FamilyOf is the family of an address; 4-in-6 mapped ones are IPv6.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Numbers of well-known routing tables (rtnetlink(7)).
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// Route is one entry of a routing table (RTM_NEWROUTE).
type Route struct {
	Family   Family       `json:"family"`
	Table    uint32       `json:"table"`
	Type     string       `json:"type"`         // "unicast", "local", "broadcast", "multicast", "anycast", "blackhole", "unreachable", "prohibit", "throw", "nat"
	Dst      netip.Prefix `json:"dst"`          // 0.0.0.0/0 or ::/0 for a default route, never zero
	Src      netip.Prefix `json:"src,omitzero"` // IPv6 source routing only
	TOS      uint8        `json:"tos,omitempty"`
	Scope    string       `json:"scope"`    // "global", "site", "link", "host", "nowhere"
	Protocol string       `json:"protocol"` // "kernel", "boot", "static", "ra", "dhcp", "bird" … or the number
	Metric   uint32       `json:"metric,omitempty"`
	PrefSrc  netip.Addr   `json:"prefSrc,omitzero"`
	Oif      int          `json:"oif,omitempty"` // ifindex; 0 with several nexthops or none
	Gateway  netip.Addr   `json:"gateway,omitzero"`
	Via      netip.Addr   `json:"via,omitzero"`       // RTA_VIA: gateway of the other family
	Flags    []string     `json:"flags,omitempty"`    // "onlink", "dead", "linkdown", "pervasive", "offload"
	MTU      int          `json:"mtu,omitempty"`      // RTAX_MTU, bytes; 0 none
	AdvMSS   int          `json:"advMss,omitempty"`   // RTAX_ADVMSS
	HopLimit int          `json:"hopLimit,omitempty"` // RTAX_HOPLIMIT; 0 the device's or the namespace's
	// Metrics are the other attributes of RTA_METRICS; nil none.
	Metrics  []RouteMetric `json:"metrics,omitempty"`
	Nexthops []Nexthop     `json:"nexthops,omitempty"`
	NHID     uint32        `json:"nhid,omitempty"`  // nexthop object; its Nexthops are filled in where they could be resolved
	Pref     string        `json:"pref,omitempty"`  // RFC 4191: "low", "high"; "" medium
	Error    int           `json:"error,omitempty"` // errno of IPv6 reject routes
	// Expires in ms, 0 never (routes learned from RAs).
	ExpiresMs int64 `json:"expiresMs,omitempty"`
}

// RouteMetric is an attribute of a route that is carried, and decides nothing here.
type RouteMetric struct {
	Type  uint16 `json:"type"`            // RTAX_* (linux/rtnetlink.h)
	Value uint32 `json:"value,omitempty"` // in the kernel's unit: RTAX_RTT in 1/8 ms, RTAX_RTTVAR in 1/4 ms
	Text  string `json:"text,omitempty"`  // of RTAX_CC_ALGO: the name of a congestion control
}

// RouteException is what the kernel learned about one destination, beside the
// tables: an ICMP redirect, or the MTU of the path (`ip route show cache`).
type RouteException struct {
	Family    Family     `json:"family"`
	Table     uint32     `json:"table"` // of the route that it modifies
	Dst       netip.Addr `json:"dst"`
	Oif       int        `json:"oif,omitempty"`
	Gateway   netip.Addr `json:"gateway,omitzero"` // of a redirect; may be Dst itself
	MTU       int        `json:"mtu,omitempty"`    // bytes; 0 none was learned
	ExpiresMs int64      `json:"expiresMs,omitempty"`
}

// Has says whether the route carries the flag.
func (r Route) Has(flag string) bool { return slices.Contains(r.Flags, flag) }

// Nexthop is one of several ways of a route.
type Nexthop struct {
	Oif     int        `json:"oif"`
	Gateway netip.Addr `json:"gateway,omitzero"`
	Weight  int        `json:"weight"` // from 1
	Flags   []string   `json:"flags,omitempty"`
}

// NexthopObject is a nexthop made by `ip nexthop` (RTM_NEWNEXTHOP).
type NexthopObject struct {
	ID        uint32     `json:"id"`
	Family    Family     `json:"family"`
	Oif       int        `json:"oif,omitempty"`
	Gateway   netip.Addr `json:"gateway,omitzero"`
	Blackhole bool       `json:"blackhole,omitempty"`
	Group     []uint32   `json:"group,omitempty"` // ids
	Weights   []int      `json:"weights,omitempty"`
	FDB       bool       `json:"fdb,omitempty"`
}

// PolicyRule is one rule of the routing policy database (RTM_NEWRULE).
type PolicyRule struct {
	Family   Family       `json:"family"`
	Priority uint32       `json:"priority"`
	Invert   bool         `json:"invert,omitempty"`
	Src      netip.Prefix `json:"src,omitzero"` // zero: any
	Dst      netip.Prefix `json:"dst,omitzero"` // zero: any
	IIF      string       `json:"iif,omitempty"`
	OIF      string       `json:"oif,omitempty"`
	TOS      uint8        `json:"tos,omitempty"`
	Mark     uint32       `json:"mark,omitempty"`
	Mask     uint32       `json:"mask,omitempty"` // 0: the mark is not looked at
	IPProto  uint8        `json:"ipProto,omitempty"`
	Sport    [2]uint16    `json:"sport,omitzero"` // from, to; zero: any
	Dport    [2]uint16    `json:"dport,omitzero"`
	UID      *[2]uint32   `json:"uid,omitempty"`
	TunID    uint64       `json:"tunId,omitempty"`
	L3mdev   bool         `json:"l3mdev,omitempty"`
	Action   string       `json:"action"`          // "table", "goto", "nop", "blackhole", "unreachable", "prohibit"
	Table    uint32       `json:"table,omitempty"` // with "table"
	Goto     uint32       `json:"goto,omitempty"`  // priority, with "goto"
	// SuppressPrefixLen and SuppressIfgroup hide what the table answered; -1 not set.
	SuppressPrefixLen int `json:"suppressPrefixLen"`
	SuppressIfgroup   int `json:"suppressIfgroup"`
}

// RouteAnswer is what the kernel said to one RTM_GETROUTE.
type RouteAnswer struct {
	Dst      netip.Addr   `json:"dst"`
	Src      netip.Addr   `json:"src,omitzero"`
	Iif      int          `json:"iif,omitempty"` // 0: asked as a local sender
	Oif      int          `json:"oif,omitempty"` // asked-for output device
	Mark     uint32       `json:"mark,omitempty"`
	IPProto  uint8        `json:"ipProto,omitempty"`
	Sport    uint16       `json:"sport,omitempty"`
	Dport    uint16       `json:"dport,omitempty"`
	Errno    string       `json:"errno,omitempty"` // "ENETUNREACH" …; the rest is empty then
	Type     string       `json:"type,omitempty"`
	Table    uint32       `json:"table,omitempty"`
	OutIf    int          `json:"outIf,omitempty"`
	Gateway  netip.Addr   `json:"gateway,omitzero"`
	PrefSrc  netip.Addr   `json:"prefSrc,omitzero"`
	Matched  netip.Prefix `json:"matched,omitzero"` // with RTM_F_FIB_MATCH
	MTUBytes int          `json:"mtuBytes,omitempty"`
}

// Neigh is one entry of the ARP or ND table.
type Neigh struct {
	Index int        `json:"index"` // ifindex
	IP    netip.Addr `json:"ip"`
	MAC   string     `json:"mac,omitempty"`
	State string     `json:"state"` // "permanent", "reachable", "stale", "delay", "probe", "failed", "incomplete", "noarp", "none"
	Proxy bool       `json:"proxy,omitempty"`
	// Router, ExtLearn, Managed are NTF_* flags.
	Router   bool `json:"router,omitempty"`
	ExtLearn bool `json:"extLearn,omitempty"`
}

// Group is a multicast group that a device has joined.
type Group struct {
	Index int        `json:"index"` // ifindex
	IP    netip.Addr `json:"ip"`
}

// MDBEntry is a bridge's port behind which somebody asked for a multicast group, or
// is a multicast router.
type MDBEntry struct {
	Bridge int        `json:"bridge"` // ifindex
	Port   int        `json:"port"`   // ifindex; the bridge's own for its host
	IP     netip.Addr `json:"ip,omitzero"`
	Vlan   int        `json:"vlan,omitempty"`
	Router bool       `json:"router,omitempty"`
}

// FDBEntry is one forwarding entry of a bridge or VXLAN device.
type FDBEntry struct {
	Index    int        `json:"index"`            // ifindex of the port, bridge or vxlan device
	Master   int        `json:"master,omitempty"` // ifindex of the bridge that holds it; 0 for the device's own ("self")
	MAC      string     `json:"mac"`
	Vlan     int        `json:"vlan,omitempty"`
	State    string     `json:"state"` // "permanent" (local), "static", "reachable", "stale"
	Self     bool       `json:"self,omitempty"`
	Local    bool       `json:"local,omitempty"` // the bridge's or port's own address: frames go up
	Dst      netip.Addr `json:"dst,omitzero"`    // VTEP
	VNI      uint32     `json:"vni,omitempty"`
	Port     uint16     `json:"port,omitempty"`
	NHID     uint32     `json:"nhid,omitempty"`
	ExtLearn bool       `json:"extLearn,omitempty"`
	Sticky   bool       `json:"sticky,omitempty"`
}

// OfDevice says whether a device holds the entry in its own name, "self" in bridge(8)'s
// words: a tunnel's, and one of the bridge itself (net/core/rtnetlink.c: rtnl_fdb_del).
func (e *FDBEntry) OfDevice() bool {
	return e.Self || e.Dst.IsValid() || e.Master != 0 && e.Master == e.Index
}
