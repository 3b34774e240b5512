package snap

// Ruleset is every packet filter of one namespace: nftables (which includes
// what iptables-nft wrote), iptables-legacy and ebtables-legacy, in one shape.
type Ruleset struct {
	// Generation is nf_tables' generation id before and after reading; 0 when
	// nf_tables is not there.
	Generation uint32  `json:"generation,omitempty"`
	Tables     []Table `json:"tables"`
	// BPF are the bpf programs on hooks of this namespace, held by a process in it.
	BPF []HookProgram `json:"bpf,omitempty"`
}

// HookProgram is a bpf program on a hook of netfilter (BPF_LINK_TYPE_NETFILTER).
type HookProgram struct {
	Family   Family   `json:"family"`
	Hook     string   `json:"hook"`
	Priority int32    `json:"priority"`
	Link     uint32   `json:"link"`
	Program  uint32   `json:"program"`
	Name     string   `json:"name,omitempty"`
	Accepts  bool     `json:"accepts,omitempty"` // it accepts everything
	Holder   *Process `json:"holder,omitempty"`
}

// System says who wrote a table, and so how its rules are printed.
type System string

// The systems.
const (
	NFT            System = "nft"             // native nftables
	IPTablesNFT    System = "iptables-nft"    // in nf_tables, shaped by iptables-nft
	IPTablesLegacy System = "iptables-legacy" // ip_tables, ip6_tables
	EBTablesNFT    System = "ebtables-nft"
	EBTablesLegacy System = "ebtables-legacy"
	ARPTablesNFT   System = "arptables-nft"
)

// Table is one table of one family. Legacy tables are given as if they were
// nf_tables ones: their hooks are base chains.
type Table struct {
	System     System      `json:"system"`
	Family     Family      `json:"family"` // ipv4, ipv6, inet, arp, bridge, netdev
	Name       string      `json:"name"`
	Handle     uint64      `json:"handle,omitempty"`
	Dormant    bool        `json:"dormant,omitempty"` // no chain of it is hooked
	Owner      uint32      `json:"owner,omitempty"`   // netlink port id of a program that owns it
	Noted      bool        `json:"noted,omitempty"`   // it has user data (NFTA_TABLE_USERDATA): a comment
	Chains     []Chain     `json:"chains"`
	Sets       []Set       `json:"sets,omitempty"`
	Objects    []Object    `json:"objects,omitempty"`
	Flowtables []Flowtable `json:"flowtables,omitempty"`
}

// Chain is a list of rules; a base chain hangs on a hook.
type Chain struct {
	Name   string `json:"name"`
	Handle uint64 `json:"handle,omitempty"`
	// Hook is "prerouting", "input", "forward", "output", "postrouting",
	// "ingress", "egress"; "" for a chain that is only jumped to.
	Hook     string   `json:"hook,omitempty"`
	Type     string   `json:"type,omitempty"` // "filter", "nat", "route"
	Priority int32    `json:"priority,omitempty"`
	Policy   string   `json:"policy,omitempty"`  // "accept" or "drop", base chains only
	Devices  []string `json:"devices,omitempty"` // of netdev and inet ingress chains
	Noted    bool     `json:"noted,omitempty"`   // it has user data (NFTA_CHAIN_USERDATA): a comment
	// PolicyPackets and PolicyBytes count what met the policy; -1 not counted.
	PolicyPackets int64  `json:"policyPackets"`
	PolicyBytes   int64  `json:"policyBytes"`
	Rules         []Rule `json:"rules"`
	// Seq orders base chains of equal priority: the order of registration as
	// far as the dump tells (smaller first).
	Seq int `json:"seq,omitempty"`
	// Torn or refused: the rules could not be read; Rules is then empty and
	// the chain's verdict is unknown.
	Unread string `json:"unread,omitempty"`
}

// Base says whether the chain hangs on a hook.
func (c *Chain) Base() bool { return c.Hook != "" }

// Rule is one rule.
type Rule struct {
	Handle  uint64 `json:"handle,omitempty"`  // nf_tables; 0 for legacy
	Num     int    `json:"num"`               // position in its chain, from 1, as `iptables -L --line-numbers` counts
	Comment string `json:"comment,omitempty"` // of nft's userdata or xt's comment match
	Exprs   Exprs  `json:"exprs"`
	// Packets and Bytes are its own counter; -1 when it has none.
	Packets int64 `json:"packets"`
	Bytes   int64 `json:"bytes"`
	// Raw is NFTA_RULE_EXPRESSIONS as the kernel sent it, kept so that the rule
	// can be put back exactly; nil for legacy.
	Raw []byte `json:"raw,omitempty"`
	// UserData is NFTA_RULE_USERDATA.
	UserData []byte `json:"userData,omitempty"`
	// Compat is NFTA_RULE_COMPAT (proto, flags) of an iptables-nft rule; nil without.
	Compat *[2]uint32 `json:"compat,omitempty"`
}

// Set is a named or anonymous set, map or verdict map.
type Set struct {
	Name      string `json:"name"`
	Handle    uint64 `json:"handle,omitempty"`
	Anonymous bool   `json:"anonymous,omitempty"`
	Constant  bool   `json:"constant,omitempty"`
	Interval  bool   `json:"interval,omitempty"`
	Map       bool   `json:"map,omitempty"`
	Timeout   bool   `json:"timeout,omitempty"`
	Dynamic   bool   `json:"dynamic,omitempty"` // filled by rules
	Concat    bool   `json:"concat,omitempty"`
	ObjectMap bool   `json:"objectMap,omitempty"`
	Size      uint32 `json:"size,omitempty"` // the most elements it may have (NFTA_SET_DESC_SIZE); 0 not limited
	KeyType   uint32 `json:"keyType"`        // nft's datatype number, for printing
	KeyLen    int    `json:"keyLen"`         // bytes
	// Fields are the byte lengths of a concatenation's parts; nil: one field.
	Fields   []int     `json:"fields,omitempty"`
	DataType uint32    `json:"dataType,omitempty"` // of object maps: NFT_OBJECT_*
	DataLen  int       `json:"dataLen,omitempty"`
	Elements []Element `json:"elements"`
	// Unread says why the elements could not be read; then look-ups are unknown.
	Unread string `json:"unread,omitempty"`
	// Truncated says that elements beyond the limit were not kept.
	Truncated bool   `json:"truncated,omitempty"`
	Comment   string `json:"comment,omitempty"`
	// UserData is NFTA_SET_USERDATA: nft keeps byte orders and typeof there.
	UserData []byte `json:"userData,omitempty"`
}

// Element is one member of a set. For interval sets without concatenation the
// kernel gives starts and ends as separate elements; readers join them: Key to
// KeyEnd, both included. KeyEnd nil: Key only. For concatenations with
// intervals Key and KeyEnd hold all fields.
type Element struct {
	Key       []byte   `json:"key"`
	KeyEnd    []byte   `json:"keyEnd,omitempty"`
	Data      []byte   `json:"data,omitempty"`
	Verdict   *Verdict `json:"verdict,omitempty"`
	Object    string   `json:"object,omitempty"`
	CatchAll  bool     `json:"catchAll,omitempty"`
	TimeoutMs int64    `json:"timeoutMs,omitempty"`
	ExpiresMs int64    `json:"expiresMs,omitempty"`
	Comment   string   `json:"comment,omitempty"`
	Exprs     Exprs    `json:"exprs,omitempty"` // stateful ones: counter, limit
}

// Verdict is what a rule decides.
type Verdict struct {
	Code  string `json:"code"` // "accept", "drop", "jump", "goto", "return", "continue", "break", "queue", "stolen"
	Chain string `json:"chain,omitempty"`
}

// Object is a stateful object: counter, quota, limit, ct helper, ct timeout,
// ct expectation, synproxy, secmark, tunnel.
type Object struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Handle uint64 `json:"handle,omitempty"`
	Expr   Exprs  `json:"expr,omitempty"` // its expression form where one exists
}

// Flowtable takes established flows around the forward hook.
type Flowtable struct {
	Name     string   `json:"name"`
	Handle   uint64   `json:"handle,omitempty"`
	Priority int32    `json:"priority"`
	Devices  []string `json:"devices"`
	HW       bool     `json:"hw,omitempty"`
}
