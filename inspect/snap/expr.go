package snap

import (
	"net/netip"
)

// Expr is one expression of a rule: nf_tables' own (net/netfilter/nft_*.c) or
// an xt match or target. Registers are counted in 4-byte units from 0 to 15
// (NFT_REG32_00 is 0; the 16-byte NFT_REG_1 to NFT_REG_4 are 0, 4, 8 and 12),
// the verdict register is VerdictReg, and a register that is not set is NoReg.
type Expr interface {
	// Kind is the kernel's name of the expression.
	Kind() string
}

// VerdictReg is the number of the verdict register in Dreg fields.
const VerdictReg = -1

// NoReg marks a register field that the expression did not set.
const NoReg = -2

// Exprs is a rule's program. Its JSON form is a list of one-key objects:
// [{"meta":{…}},{"cmp":{…}}].
type Exprs []Expr

// Immediate loads data, or a verdict, into a register.
type Immediate struct {
	Dreg    int      `json:"dreg"`
	Data    []byte   `json:"data,omitempty"`
	Verdict *Verdict `json:"verdict,omitempty"`
}

// Payload reads packet bytes into Dreg, or writes Sreg into the packet
// (Dreg is NoReg then).
type Payload struct {
	Base   string `json:"base"` // "ll", "nh", "th", "inner"
	Offset int    `json:"offset"`
	Len    int    `json:"len"`
	Dreg   int    `json:"dreg"`
	Sreg   int    `json:"sreg"`
	// Csum fields as in NFTA_PAYLOAD_CSUM_*, for printing and putting back.
	CsumType   uint32 `json:"csumType,omitempty"`
	CsumOffset uint32 `json:"csumOffset,omitempty"`
	CsumFlags  uint32 `json:"csumFlags,omitempty"`
}

// Meta reads a property of the packet that is not in its bytes, or sets one.
// Key is nft's name: "iif", "iifname", "oif", "oifname", "iiftype", "oiftype",
// "mark", "l4proto", "nfproto", "protocol", "len", "priority", "pkttype",
// "skuid", "skgid", "cpu", "iifgroup", "oifgroup", "cgroup", "ibrname"
// (bri_iifname), "obrname" (bri_oifname), "iifkind", "oifkind", "rtclassid",
// "secmark", "nftrace", "random", "secpath", "time", "day", "hour", "sdif",
// "sdifname", "broute", "ibrpvid", "ibrvproto"; "key:N" for others.
type Meta struct {
	Key  string `json:"key"`
	Dreg int    `json:"dreg"`
	Sreg int    `json:"sreg"`
}

// Cmp compares a register: Op "==", "!=", "<", "<=", ">", ">=".
type Cmp struct {
	Sreg int    `json:"sreg"`
	Op   string `json:"op"`
	Data []byte `json:"data"`
}

// Range tests From <= register <= To; Op "==" or "!=".
type Range struct {
	Sreg int    `json:"sreg"`
	Op   string `json:"op"`
	From []byte `json:"from"`
	To   []byte `json:"to"`
}

// Bitwise computes dreg = (sreg & Mask) ^ Xor for Op "mask-xor", or a shift
// by Data ("<<", ">>"), or sreg & | ^ of Sreg2 or Data ("&", "|", "^").
type Bitwise struct {
	Sreg  int    `json:"sreg"`
	Sreg2 int    `json:"sreg2"`
	Dreg  int    `json:"dreg"`
	Len   int    `json:"len"`
	Op    string `json:"op"`
	Mask  []byte `json:"mask,omitempty"`
	Xor   []byte `json:"xor,omitempty"`
	Data  []byte `json:"data,omitempty"`
}

// Byteorder swaps: Op "ntoh" or "hton", in units of Size bytes.
type Byteorder struct {
	Sreg int    `json:"sreg"`
	Dreg int    `json:"dreg"`
	Op   string `json:"op"`
	Len  int    `json:"len"`
	Size int    `json:"size"`
}

// Lookup searches Set for the key at Sreg; with Dreg it is a map.
type Lookup struct {
	Set    string `json:"set"`
	Sreg   int    `json:"sreg"`
	Dreg   int    `json:"dreg"` // NoReg: plain set
	Invert bool   `json:"invert,omitempty"`
}

// Dynset adds to or updates a set from a rule: Op "add", "update", "delete".
type Dynset struct {
	Set       string `json:"set"`
	Op        string `json:"op"`
	SregKey   int    `json:"sregKey"`
	SregData  int    `json:"sregData"`
	TimeoutMs int64  `json:"timeoutMs,omitempty"`
	Invert    bool   `json:"invert,omitempty"`
	Exprs     Exprs  `json:"exprs,omitempty"`
}

// Ct reads or sets a property of the connection. Key is nft's name: "state",
// "direction", "status", "mark", "expiration", "helper", "l3proto", "src",
// "dst", "proto", "proto-src", "proto-dst", "label", "pkts", "bytes", "avgpkt",
// "zone", "event", "src-ip", "dst-ip", "src-ip6", "dst-ip6", "id", "secmark", "timeout".
type Ct struct {
	Key  string `json:"key"`
	Dir  string `json:"dir,omitempty"` // "original" or "reply"
	Dreg int    `json:"dreg"`
	Sreg int    `json:"sreg"`
}

// Fib asks the routing table: Result "oif", "oifname" or "type"; Flags of
// "saddr", "daddr", "mark", "iif", "oif", "present".
type Fib struct {
	Result string   `json:"result"`
	Flags  []string `json:"flags"`
	Dreg   int      `json:"dreg"`
}

// Exthdr reads an IPv6 extension header, a TCP or an IP option: Op "ipv6",
// "tcpopt", "ipv4", "sctp", "dccp".
type Exthdr struct {
	Op      string `json:"op"`
	Type    uint8  `json:"type"`
	Offset  int    `json:"offset"`
	Len     int    `json:"len"`
	Present bool   `json:"present,omitempty"`
	Dreg    int    `json:"dreg"`
	Sreg    int    `json:"sreg"` // write; NoReg when reading; with neither it resets the option
}

// Rt reads from the packet's route: "classid", "nexthop4", "nexthop6", "tcpmss", "xfrm".
type Rt struct {
	Key  string `json:"key"`
	Dreg int    `json:"dreg"`
}

// Nat is snat or dnat; registers are NoReg when not given.
type Nat struct {
	Type     string   `json:"type"` // "snat" or "dnat"
	Family   Family   `json:"family"`
	AddrMin  int      `json:"addrMin"`
	AddrMax  int      `json:"addrMax"`
	ProtoMin int      `json:"protoMin"`
	ProtoMax int      `json:"protoMax"`
	Flags    []string `json:"flags,omitempty"` // "random", "fully-random", "persistent", "netmap", "map-ips", "proto-specified"
}

// Masq masquerades.
type Masq struct {
	ProtoMin int      `json:"protoMin"`
	ProtoMax int      `json:"protoMax"`
	Flags    []string `json:"flags,omitempty"`
}

// Redir redirects to this host.
type Redir struct {
	ProtoMin int      `json:"protoMin"`
	ProtoMax int      `json:"protoMax"`
	Flags    []string `json:"flags,omitempty"`
}

// Tproxy hands the packet to a local socket.
type Tproxy struct {
	Family Family `json:"family"`
	Addr   int    `json:"addr"`
	Port   int    `json:"port"`
}

// Reject answers with an error: Type "icmp", "icmpx" or "tcp-reset".
type Reject struct {
	Type string `json:"type"`
	Code uint8  `json:"code"`
}

// Counter counts.
type Counter struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Log logs, and never decides.
type Log struct {
	Prefix  string `json:"prefix,omitempty"`
	Group   uint16 `json:"group,omitempty"`
	Level   uint32 `json:"level,omitempty"`
	Flags   uint32 `json:"flags,omitempty"`
	Snaplen uint32 `json:"snaplen,omitempty"`
	QThresh uint16 `json:"qthreshold,omitempty"`
	// NFLog says that a group was given.
	NFLog bool `json:"nflog,omitempty"`
}

// Limit passes while under the rate (or, Over, above it).
type Limit struct {
	Rate  uint64 `json:"rate"`
	Unit  uint64 `json:"unit"` // seconds
	Burst uint32 `json:"burst"`
	Bytes bool   `json:"bytes,omitempty"`
	Over  bool   `json:"over,omitempty"`
}

// Quota passes until Bytes are used up (or, Over, after).
type Quota struct {
	Bytes uint64 `json:"bytes"`
	Used  uint64 `json:"used"`
	Over  bool   `json:"over,omitempty"`
}

// Connlimit passes while there are at most Count connections (or, Over, more).
type Connlimit struct {
	Count uint32 `json:"count"`
	Over  bool   `json:"over,omitempty"`
}

// Numgen makes a number: Mode "inc" or "random", 0..Modulus-1, plus Offset.
type Numgen struct {
	Mode    string `json:"mode"`
	Modulus uint32 `json:"modulus"`
	Offset  uint32 `json:"offset,omitempty"`
	Dreg    int    `json:"dreg"`
}

// Hash computes a hash: Type "jhash" of Len bytes at Sreg, or "symhash".
type Hash struct {
	Type    string `json:"type"`
	Sreg    int    `json:"sreg"`
	Dreg    int    `json:"dreg"`
	Len     int    `json:"len,omitempty"`
	Modulus uint32 `json:"modulus"`
	Seed    uint32 `json:"seed,omitempty"`
	HasSeed bool   `json:"hasSeed,omitempty"`
	Offset  uint32 `json:"offset,omitempty"`
}

// Objref refers to a stateful object by name, or by a map.
type Objref struct {
	Type string `json:"type"` // "counter", "quota", "ct-helper", "limit", "connlimit", "tunnel", "ct-timeout", "secmark", "ct-expect", "synproxy"
	Name string `json:"name,omitempty"`
	Set  string `json:"set,omitempty"`
	Sreg int    `json:"sreg"`
}

// Queue hands the packet to a program in user space.
type Queue struct {
	Num    uint16 `json:"num"`
	Total  uint16 `json:"total"`
	Bypass bool   `json:"bypass,omitempty"`
	Fanout bool   `json:"fanout,omitempty"`
	Sreg   int    `json:"sreg"`
}

// Dup copies the packet elsewhere; Fwd sends it out of a device (netdev).
type Dup struct {
	Addr int `json:"addr"`
	Dev  int `json:"dev"`
}

// Fwd is netdev's fwd to a device.
type Fwd struct {
	Dev    int    `json:"dev"`
	Addr   int    `json:"addr"`
	Family Family `json:"family,omitempty"`
}

// Notrack exempts the packet from conntrack.
type Notrack struct{}

// FlowOffload adds the flow to a flowtable.
type FlowOffload struct {
	Table string `json:"table"`
}

// Synproxy answers SYNs itself.
type Synproxy struct {
	MSS    uint16 `json:"mss,omitempty"`
	WScale uint8  `json:"wscale,omitempty"`
	Flags  uint32 `json:"flags,omitempty"`
}

// SocketExpr reads from the local socket: "transparent", "mark", "wildcard", "cgroupv2".
type SocketExpr struct {
	Key   string `json:"key"`
	Level uint32 `json:"level,omitempty"`
	Dreg  int    `json:"dreg"`
}

// Xt is an xt match or target: iptables' and ebtables' extensions.
type Xt struct {
	Target bool   `json:"target,omitempty"`
	Name   string `json:"name"` // "conntrack", "MASQUERADE"
	Rev    uint8  `json:"rev"`
	Info   []byte `json:"info"` // the kernel's struct, native byte order
}

// XtEntry is the fixed part of a legacy iptables entry (struct ipt_ip, ip6t_ip6).
type XtEntry struct {
	Src      netip.Prefix `json:"src,omitzero"` // contiguous masks; zero any
	Dst      netip.Prefix `json:"dst,omitzero"`
	SrcMask  []byte       `json:"srcMask,omitempty"` // with SrcAddr, for masks that are not contiguous
	DstMask  []byte       `json:"dstMask,omitempty"`
	SrcAddr  []byte       `json:"srcAddr,omitempty"`
	DstAddr  []byte       `json:"dstAddr,omitempty"`
	InIf     string       `json:"inIf,omitempty"` // "eth+" matches a prefix
	OutIf    string       `json:"outIf,omitempty"`
	Proto    uint16       `json:"proto,omitempty"`    // 0 any
	HasProto bool         `json:"hasProto,omitempty"` // IPv6: IP6T_F_PROTO
	TOS      uint8        `json:"tos,omitempty"`
	Fragment bool         `json:"fragment,omitempty"` // -f
	Goto     bool         `json:"goto,omitempty"`
	// Inv holds what is negated: "src", "dst", "in", "out", "proto", "frag", "tos".
	Inv []string `json:"inv,omitempty"`
}

// EbEntry is the fixed part of an ebtables-legacy entry (struct ebt_entry).
type EbEntry struct {
	EtherType  uint16   `json:"etherType,omitempty"`
	In         string   `json:"in,omitempty"`
	Out        string   `json:"out,omitempty"`
	LogicalIn  string   `json:"logicalIn,omitempty"`
	LogicalOut string   `json:"logicalOut,omitempty"`
	SrcMAC     string   `json:"srcMac,omitempty"`
	SrcMask    string   `json:"srcMask,omitempty"`
	DstMAC     string   `json:"dstMac,omitempty"`
	DstMask    string   `json:"dstMask,omitempty"`
	Is8023     bool     `json:"is8023,omitempty"`
	Inv        []string `json:"inv,omitempty"` // "in", "out", "logical-in", "logical-out", "src", "dst", "proto"
}

// Unknown is an expression that this program does not know. Whatever registers
// it wrote are unknown, and so is whether it let the packet pass.
type Unknown struct {
	Name string `json:"name"`
	Raw  []byte `json:"raw"` // NFTA_EXPR_DATA
}

func (*Immediate) Kind() string   { return "immediate" }
func (*Payload) Kind() string     { return "payload" }
func (*Meta) Kind() string        { return "meta" }
func (*Cmp) Kind() string         { return "cmp" }
func (*Range) Kind() string       { return "range" }
func (*Bitwise) Kind() string     { return "bitwise" }
func (*Byteorder) Kind() string   { return "byteorder" }
func (*Lookup) Kind() string      { return "lookup" }
func (*Dynset) Kind() string      { return "dynset" }
func (*Ct) Kind() string          { return "ct" }
func (*Fib) Kind() string         { return "fib" }
func (*Exthdr) Kind() string      { return "exthdr" }
func (*Rt) Kind() string          { return "rt" }
func (*Nat) Kind() string         { return "nat" }
func (*Masq) Kind() string        { return "masq" }
func (*Redir) Kind() string       { return "redir" }
func (*Tproxy) Kind() string      { return "tproxy" }
func (*Reject) Kind() string      { return "reject" }
func (*Counter) Kind() string     { return "counter" }
func (*Log) Kind() string         { return "log" }
func (*Limit) Kind() string       { return "limit" }
func (*Quota) Kind() string       { return "quota" }
func (*Connlimit) Kind() string   { return "connlimit" }
func (*Numgen) Kind() string      { return "numgen" }
func (*Hash) Kind() string        { return "hash" }
func (*Objref) Kind() string      { return "objref" }
func (*Queue) Kind() string       { return "queue" }
func (*Dup) Kind() string         { return "dup" }
func (*Fwd) Kind() string         { return "fwd" }
func (*Notrack) Kind() string     { return "notrack" }
func (*FlowOffload) Kind() string { return "flow_offload" }
func (*Synproxy) Kind() string    { return "synproxy" }
func (*SocketExpr) Kind() string  { return "socket" }
func (*Xt) Kind() string          { return "xt" }
func (*XtEntry) Kind() string     { return "xtentry" }
func (*EbEntry) Kind() string     { return "ebentry" }
func (*Unknown) Kind() string     { return "unknown" }
