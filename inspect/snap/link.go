package snap

import "net/netip"

// Link is one network device (RTM_NEWLINK).
type Link struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	// Kind is IFLA_INFO_KIND: "veth", "bridge", "macvlan", "ipvlan", "vxlan",
	// "vlan", "vrf", "dummy", "tun", "bond", "wireguard" …; "loopback" for lo; ""
	// for a physical or unknown device.
	Kind  string `json:"kind"`
	MAC   string `json:"mac,omitempty"` // lower case, colons; "" for devices without
	MTU   int    `json:"mtu"`           // bytes
	Alias string `json:"alias,omitempty"`

	Up        bool   `json:"up"`                 // IFF_UP: administratively up
	LowerUp   bool   `json:"lowerUp"`            // IFF_LOWER_UP: has carrier
	Running   bool   `json:"running"`            // IFF_RUNNING
	OperState string `json:"operState"`          // "up", "down", "lowerlayerdown", "unknown", "dormant"
	Loopback  bool   `json:"loopback,omitempty"` // IFF_LOOPBACK
	// Dormant is the link mode (IF_LINK_MODE_DORMANT): the device waits for a supplicant
	// to open it. ProtoDown: a routing daemon holds it down (IFLA_PROTO_DOWN).
	Dormant   bool `json:"dormant,omitempty"`
	ProtoDown bool `json:"protoDown,omitempty"`
	NoARP     bool `json:"noArp,omitempty"` // IFF_NOARP
	Promisc   bool `json:"promisc,omitempty"`
	Broadcast bool `json:"broadcast,omitempty"`
	PointToPt bool `json:"pointToPoint,omitempty"`
	AllMulti  bool `json:"allMulti,omitempty"`

	Master int `json:"master,omitempty"` // ifindex of the bridge, bond or VRF it belongs to; 0 none
	// Peer is IFLA_LINK: the other end of a veth, the lower device of a
	// macvlan, vlan or vxlan. It counts in the namespace PeerNetns; 0 none.
	Peer int `json:"peer,omitempty"`
	// PeerNSID is IFLA_LINK_NETNSID, -1 when the peer is in this namespace.
	PeerNSID int `json:"peerNsid"`
	// PeerNetns is the Netns.ID that PeerNSID stands for: this namespace's own
	// ID when PeerNSID is -1, "" when it could not be found.
	PeerNetns string `json:"peerNetns,omitempty"`

	Group   uint32   `json:"group,omitempty"`
	TxQLen  int      `json:"txQLen,omitempty"`
	AltName []string `json:"altNames,omitempty"`

	Bridge  *Bridge     `json:"bridge,omitempty"`  // it is a bridge
	Port    *BridgePort `json:"port,omitempty"`    // it is a port of the bridge Master
	Macvlan *Macvlan    `json:"macvlan,omitempty"` // also macvtap
	Ipvlan  *Ipvlan     `json:"ipvlan,omitempty"`
	Vxlan   *Vxlan      `json:"vxlan,omitempty"`
	Vlan    *Vlan       `json:"vlan,omitempty"`
	VRF     *VRF        `json:"vrf,omitempty"`
	XDP     *XDP        `json:"xdp,omitempty"`
	Qdiscs  []Qdisc     `json:"qdiscs,omitempty"`  // without the kernel's defaults (noqueue, pfifo_fast, fq_codel, mq)
	Filters []TCFilter  `json:"filters,omitempty"` // on clsact, ingress and tcx hooks
	Stats   *LinkStats  `json:"stats,omitempty"`
	// Reader is the process that has what leaves by a tun or tap device: the wire
	// behind it. nil: not known, or none.
	Reader *Process `json:"reader,omitempty"`
	// Offload holds the ethtool features that break tunnels and checksums when
	// wrong: "tx-checksum-ip-generic", "tx-udp_tnl-segmentation" …; absent unknown.
	Offload map[string]bool `json:"offload,omitempty"`
}

// Bridge holds a bridge's own settings (IFLA_BR_*).
type Bridge struct {
	STP            bool   `json:"stp"`
	VlanFiltering  bool   `json:"vlanFiltering"`
	VlanProtocol   string `json:"vlanProtocol,omitempty"` // "802.1Q" or "802.1ad"
	DefaultPVID    int    `json:"defaultPvid"`
	ForwardDelayMs int64  `json:"forwardDelayMs"`
	AgeingMs       int64  `json:"ageingMs"`
	McastSnooping  bool   `json:"mcastSnooping"`
	// Querier4 and Querier6 say that somebody asks for members of groups, the bridge
	// itself or a router behind a port: only then snooping keeps groups to members.
	Querier4         bool   `json:"querier4,omitempty"`
	Querier6         bool   `json:"querier6,omitempty"`
	NFCallIPTables   bool   `json:"nfCallIptables"` // per bridge, beside the sysctl
	NFCallIP6Tables  bool   `json:"nfCallIp6tables"`
	NFCallARPTables  bool   `json:"nfCallArptables"`
	GroupFwdMask     uint16 `json:"groupFwdMask,omitempty"`
	NoLinkLocalLearn bool   `json:"noLinkLocalLearn,omitempty"`
}

// BridgePort holds a port's settings (IFLA_BRPORT_*).
type BridgePort struct {
	// State is the STP state: 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking.
	State        int    `json:"state"`
	Hairpin      bool   `json:"hairpin,omitempty"`
	Guard        bool   `json:"guard,omitempty"`
	FastLeave    bool   `json:"fastLeave,omitempty"`
	Learning     bool   `json:"learning"`
	Flood        bool   `json:"flood"` // unknown unicast
	McastFlood   bool   `json:"mcastFlood"`
	BcastFlood   bool   `json:"bcastFlood"`
	ProxyARP     bool   `json:"proxyArp,omitempty"`
	ProxyARPWifi bool   `json:"proxyArpWifi,omitempty"`
	NeighSuppr   bool   `json:"neighSuppress,omitempty"`
	Isolated     bool   `json:"isolated,omitempty"`
	Locked       bool   `json:"locked,omitempty"`
	MAB          bool   `json:"mab,omitempty"`
	BackupPort   int    `json:"backupPort,omitempty"` // ifindex
	VlanTunnel   bool   `json:"vlanTunnel,omitempty"`
	Priority     uint16 `json:"priority,omitempty"`
	Cost         uint32 `json:"cost,omitempty"`
	No           uint16 `json:"no,omitempty"`
}

// Names of BridgePort.State.
const (
	PortDisabled   = 0
	PortListening  = 1
	PortLearning   = 2
	PortForwarding = 3
	PortBlocking   = 4
)

// Macvlan holds IFLA_MACVLAN_*.
type Macvlan struct {
	Mode      string `json:"mode"` // "bridge", "private", "vepa", "passthru", "source"
	NoPromisc bool   `json:"noPromisc,omitempty"`
}

// Ipvlan holds IFLA_IPVLAN_*.
type Ipvlan struct {
	Mode string `json:"mode"` // "l2", "l3", "l3s"
	Flag string `json:"flag"` // "bridge", "private", "vepa"
}

// Vxlan holds IFLA_VXLAN_*.
type Vxlan struct {
	VNI      uint32     `json:"vni"`
	Local    netip.Addr `json:"local,omitzero"`
	Remote   netip.Addr `json:"remote,omitzero"` // unicast or multicast group
	Lower    int        `json:"lower,omitempty"` // ifindex, 0 none
	Port     uint16     `json:"port"`
	Learning bool       `json:"learning"`
	Proxy    bool       `json:"proxy,omitempty"`
	L2Miss   bool       `json:"l2miss,omitempty"`
	L3Miss   bool       `json:"l3miss,omitempty"`
	UDPCsum  bool       `json:"udpCsum,omitempty"`
	External bool       `json:"external,omitempty"` // collect metadata: VNI from the route or filter
	TTL      uint8      `json:"ttl,omitempty"`
}

// Vlan holds IFLA_VLAN_*.
type Vlan struct {
	ID       int    `json:"id"`
	Protocol string `json:"protocol,omitempty"`
}

// VRF holds IFLA_VRF_TABLE.
type VRF struct {
	Table uint32 `json:"table"`
}

// XDP is a program attached to the device.
type XDP struct {
	Mode   string `json:"mode"` // "driver", "generic", "offload"
	ProgID uint32 `json:"progId"`
	Name   string `json:"name,omitempty"` // of the program, "" unknown
	// Always is what it returns whatever the packet: "drop", "aborted" (a drop, too),
	// "pass", "tx", "redirect"; "" when that hangs on the packet, or is not known.
	Always string `json:"always,omitempty"`
	// Link is the id of the bpf link that holds it there, as far as a process has
	// that open; 0 none is known. Holders are the processes that have it, or the
	// program, open.
	Link    uint32    `json:"link,omitempty"`
	Holders []Process `json:"holders,omitempty"`
}

// TCFilter is one traffic-control filter.
type TCFilter struct {
	Hook     string   `json:"hook"` // "ingress" or "egress"
	Kind     string   `json:"kind"` // "u32", "flower", "matchall", "bpf", "basic", "fw" …
	Priority uint16   `json:"priority"`
	Protocol uint16   `json:"protocol"` // ethertype, 3 = all
	Handle   uint32   `json:"handle"`
	Name     string   `json:"name,omitempty"`    // of a bpf program
	Actions  []string `json:"actions,omitempty"` // "drop", "ok", "redirect:IFINDEX", "mirror:IFINDEX", "police", "bpf:NAME"; "?" not decoded
	U32      []U32Key `json:"u32,omitempty"`
	// Opaque says that the match was not decoded and must be taken as unknown.
	Opaque bool `json:"opaque,omitempty"`
}

// U32Key is one comparison of a u32 filter: the 32 bits at Off from the
// network header, masked, equal Val.
type U32Key struct {
	Mask uint32 `json:"mask"`
	Val  uint32 `json:"val"`
	Off  int    `json:"off"`
}

// LinkStats are counters since the device was made.
type LinkStats struct {
	RxPackets uint64 `json:"rxPackets"`
	TxPackets uint64 `json:"txPackets"`
	RxBytes   uint64 `json:"rxBytes"`
	TxBytes   uint64 `json:"txBytes"`
	RxErrors  uint64 `json:"rxErrors,omitempty"`
	TxErrors  uint64 `json:"txErrors,omitempty"`
	RxDropped uint64 `json:"rxDropped,omitempty"`
	TxDropped uint64 `json:"txDropped,omitempty"`
}

// BridgeVlan is one VLAN of a bridge port or of the bridge itself.
type BridgeVlan struct {
	Index    int  `json:"index"` // ifindex of the port or bridge
	VID      int  `json:"vid"`
	PVID     bool `json:"pvid,omitempty"`
	Untagged bool `json:"untagged,omitempty"`
}
