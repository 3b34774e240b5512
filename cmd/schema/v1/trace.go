package v1

// TraceResult is the answer of trace for one flow.
type TraceResult struct {
	Head
	// delivered: the answer comes back to the sender; refused: the destination's
	// own stack answers RST or port unreachable; dropped: everything else;
	// unknown: it can't be decided.
	Verdict string `json:"verdict" enum:"delivered,refused,dropped,unknown"`
	// The sender.
	From Endpoint `json:"from"`
	// The destination.
	To Endpoint `json:"to"`
	// tcp, udp, sctp or icmp.
	Proto string `json:"proto"`
	// Why it was walked: asked, gateway, egress, upstream, published and so on.
	Why string `json:"why"`
	// What the model says.
	Predicted *Said `json:"predicted"`
	// What a real packet says; null when none was sent or it proves nothing.
	Proved *Said `json:"proved"`
	// Why nothing is proved; empty when something is, or nothing was to be sent.
	Unproved string `json:"unproved,omitempty"`
	// The place that decided; null when the flow is delivered.
	Where *Where `json:"where"`
	// The stages of the request.
	Forward []Hop `json:"forward"`
	// The stages of the answer.
	Reply []Hop `json:"reply"`
	// Why the verdict is unknown.
	Unknown []string `json:"unknown"`
	// Outcomes of the ways that could not be told apart.
	Branches []Branch `json:"branches"`
	// The device by which the request leaves this host; empty when it stays.
	LeavesBy string `json:"leavesBy"`
	// What becomes of an answer from beyond this host; empty when it does not leave.
	IfAnswered string `json:"ifAnswered"`
	// The way of the destination's name, when a name was given.
	Name *NameWay `json:"name"`
	// Packets that were sent to prove it, in order.
	Sent []Sent `json:"sent"`
	// What answered in place of the application, when that was asked for.
	StandIn *StandIn `json:"standIn,omitempty"`
	// What was tried on the model first; only with --what-if.
	WhatIf *WhatIf `json:"whatIf,omitempty"`
	// Who watched those packets on their way, and who could not.
	Observers []Observer `json:"observers"`
	// What conntrack has of those packets, in each namespace on their way.
	Tracked []Tracked `json:"tracked"`
	// The firewall rules that a packet of the flow met; only with --trace-rules.
	Rules []RuleHit `json:"rules"`
	// The largest packet that the way carries; null when there was no reason to
	// measure it.
	PathMTU *PathMTU `json:"pathMtu"`
	Tail
}

// StandIn is a listener of ours, for the time of the trace.
type StandIn struct {
	// The namespace that it listened in.
	Netns string `json:"netns"`
	// Its address.
	Address string `json:"address"`
	// The application's own port was taken: it listened beside it.
	Beside bool `json:"beside"`
}

// Observer is one way of watching packets.
type Observer struct {
	// tracepoints, counters, packet-sockets or rule-trace.
	Name string `json:"name"`
	// It was there.
	Have bool `json:"have"`
	// Why it was not.
	Why string `json:"why,omitempty"`
	// What it would take.
	Needs string `json:"needs,omitempty"`
	// It was not needed, as another one tells more.
	Spared bool `json:"spared,omitempty"`
}

// Endpoint is one side of a flow.
type Endpoint struct {
	// As it was asked for.
	Target string `json:"target"`
	// The namespace; for a sender beyond this host the one that its packet enters.
	Netns string `json:"netns"`
	// The container, engine:name; empty when it is none.
	Container string `json:"container"`
	// The address; empty when it is not known.
	Address string `json:"address"`
	// The port; 0 when there is none.
	Port int `json:"port"`
	// It lies beyond this host.
	Outside bool `json:"outside"`
	// The device on which a packet from outside comes in; empty otherwise.
	Device string `json:"device"`
}

// Said is one witness's verdict.
type Said struct {
	// The verdict.
	Verdict string `json:"verdict" enum:"delivered,refused,dropped,unknown"`
	// In words.
	Detail string `json:"detail"`
	// The place that decided, where this witness knows it.
	Where *Where `json:"where,omitempty"`
}

// Where is the place that decided.
type Where struct {
	// The network namespace.
	Netns string `json:"netns"`
	// The device; empty when none is concerned.
	Device string `json:"device"`
	// link, bridge, neigh, route, netfilter, socket, conntrack, tc, vxlan or name.
	Layer string `json:"layer"`
	// nft, iptables-nft, iptables-legacy and so on; only with a rule or policy.
	System string `json:"system,omitempty"`
	// Address family of the table; only with a rule or policy.
	Family string `json:"family,omitempty"`
	// The firewall table; only with a rule or policy.
	Table string `json:"table,omitempty"`
	// The chain; only with a rule or policy.
	Chain string `json:"chain,omitempty"`
	// The kernel's handle of the rule; absent for policies and iptables-legacy.
	Handle uint64 `json:"handle,omitempty"`
	// Its position in the chain, from 1; absent for policies.
	Num int `json:"num,omitempty"`
	// The rule as its own tool prints it; the policy otherwise.
	Rule string `json:"rule,omitempty"`
	// The kernel's own name of the drop reason, or the sender's errno.
	Reason string `json:"reason"`
	// What sort of thing decided: rule, policy, no-route and so on.
	Cause string `json:"cause"`
	// One clause in words.
	Detail string `json:"detail"`
	// It happened to the answer.
	Reply bool `json:"reply"`
	// Where it is in a snapshot.
	Ref string `json:"ref,omitempty"`
}

// Hop is one stage of the way.
type Hop struct {
	// From 1, through the request and on through the answer.
	N int `json:"n"`
	// The network namespace.
	Netns string `json:"netns"`
	// The device; empty when none is concerned.
	Device string `json:"device"`
	// send, route, neigh, bridge, a hook, receive, socket and so on.
	Stage string `json:"stage"`
	// What was done there.
	Did string `json:"did"`
	// ok, drop, reject, refused, delivered or unknown.
	Verdict string `json:"verdict"`
	// The deciding rule as its own tool prints it; empty when none decided.
	Rule string `json:"rule"`
	// The packet as it was there.
	Packet Packet `json:"packet"`
	// What was seen of a real packet there: seen, died, not seen; empty when
	// nobody watched, or the stage has no device.
	Wire string `json:"wire"`
	// Lines of the snapshot that it rests on.
	Because []string `json:"because"`
}

// Packet is a packet's addresses.
type Packet struct {
	// Source address, with the port where there is one.
	Src string `json:"src"`
	// Destination address, with the port where there is one.
	Dst string `json:"dst"`
	// tcp, udp, sctp, icmp or icmp6.
	Proto string `json:"proto"`
}

// Branch is one way that could not be told from another.
type Branch struct {
	// What was taken to be so on it.
	Assumed []string `json:"assumed"`
	// What becomes of the packet on it.
	Verdict string `json:"verdict"`
	// What decided on it; null when it is delivered.
	Where *Where `json:"where"`
	// Its probability; 0 unknown.
	Chance float64 `json:"chance"`
}

// NameWay is what became of a name in a trace.
type NameWay struct {
	// The name as given.
	Name string `json:"name"`
	// What the sender gets for it; see DNSResult.
	Verdict string `json:"verdict"`
	// The addresses it gets.
	Answers []string `json:"answers"`
	// Where the address that was walked to comes from: "name" when the name
	// resolves, "container" when it was taken from the container of that name.
	Used string `json:"used"`
}

// TraceSetResult is the answer of trace with a source alone.
type TraceSetResult struct {
	Head
	// The worst of the flows.
	Verdict string `json:"verdict" enum:"delivered,refused,dropped,unknown"`
	// The sender.
	From Endpoint `json:"from"`
	// One trace for each destination.
	Traces []TraceResult `json:"traces"`
	// What its resolvers answer.
	Names []DNSResult `json:"names"`
	Tail
}
