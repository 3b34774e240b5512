package v1

// RuleHit is one firewall rule, or policy, that a packet of the flow met, as the
// kernel's own trace tells of it.
type RuleHit struct {
	// The network namespace.
	Netns string `json:"netns"`
	// nft, iptables-nft, iptables-legacy and so on.
	System string `json:"system"`
	// Address family of the table.
	Family string `json:"family"`
	// The firewall table.
	Table string `json:"table"`
	// The chain.
	Chain string `json:"chain"`
	// The kernel's handle of the rule; absent for policies and iptables-legacy.
	Handle uint64 `json:"handle,omitempty"`
	// Its position in the chain, from 1; absent for policies, and for a rule that
	// was not there when the rules were read.
	Num int `json:"num,omitempty"`
	// It is the policy.
	Policy bool `json:"policy"`
	// accept, drop, jump CHAIN and so on; empty where the kernel does not tell.
	Verdict string `json:"verdict"`
	// The packet was on its way back.
	Answer bool `json:"answer"`
	// The rule as its own tool prints it.
	Rule string `json:"rule,omitempty"`
}

// Tracked is one entry of conntrack.
type Tracked struct {
	// The network namespace.
	Netns string `json:"netns"`
	// Source of the flow's first direction, as it came in.
	Src string `json:"src"`
	// Its destination, as it came in.
	Dst string `json:"dst"`
	// Source of its answers: where it was led.
	ReplySrc string `json:"replySrc"`
	// Where its answers go: whom it was made to come from.
	ReplyDst string `json:"replyDst"`
	// SYN_SENT, ESTABLISHED and so on; empty for UDP.
	State string `json:"state"`
	// seen-reply, assured, snat, dnat and so on.
	Status []string `json:"status"`
	// In words.
	Text string `json:"text"`
}

// PathMTU is what echoes of many sizes, none of which may be cut, found out of
// the way of the flow.
type PathMTU struct {
	// The MTU of the sender's device: the largest packet that was tried.
	DeviceBytes int `json:"deviceBytes"`
	// The largest packet that was answered; 0 when it was not measured.
	FitsBytes int `json:"fitsBytes"`
	// The smallest that was not; 0 when all were.
	TooBigBytes int `json:"tooBigBytes"`
	// The size that an ICMP error named; 0 when nobody told.
	ToldBytes int `json:"toldBytes"`
	// Who told.
	ToldBy string `json:"toldBy,omitempty"`
	// Why it was not measured.
	Why string `json:"why,omitempty"`
	// What keeps the sender's packets that small; empty when they need not be.
	Option string `json:"option,omitempty"`
}
