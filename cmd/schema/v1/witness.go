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
