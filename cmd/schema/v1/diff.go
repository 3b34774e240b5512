package v1

// KindDiff is the kind of the answer of diff.
const KindDiff = "DiffResult"

// DiffResult is the answer of diff: what changed, and what it broke.
type DiffResult struct {
	Head
	// The older state.
	A HostInfo `json:"a"`
	// The newer state.
	B HostInfo `json:"b"`
	// What changed: what broke something first, then engines, networks and
	// containers, then each namespace.
	Changes []Difference `json:"changes"`
	// Flows and names that worked and do not any more, of which no change alone
	// is the cause.
	Broke []Turned `json:"broke"`
	// Flows and names that did not work and do now.
	Mended []Turned `json:"mended"`
	// Codes of findings that were there and are not any more.
	Gone []string `json:"gone"`
	Tail
}

// Difference is one change.
type Difference struct {
	// "+" new, "-" gone, "~" another now.
	Sign string `json:"sign" enum:"+,-,~"`
	// container, network, engine, netns, link, addr, route, iprule, neigh, fdb,
	// sysctl, table, chain, policy, rule, set, qdisc, socket or resolver.
	Noun string `json:"noun"`
	// The namespace that it is in; empty when it is in none.
	Netns string `json:"netns"`
	// What is another now.
	Name string `json:"name"`
	// The change in one clause.
	Text string `json:"text"`
	// Where it is in the newer state; of what is gone, in the older one.
	Ref string `json:"ref,omitempty"`
	// Flows and names that this change alone breaks.
	Broke []Turned `json:"broke"`
}

// Turned is a flow or name that another verdict was found for.
type Turned struct {
	// flow or name.
	Kind string `json:"kind" enum:"flow,name"`
	// The sender.
	From string `json:"from"`
	// The destination, or the name.
	To string `json:"to"`
	// The verdict in the older state.
	Before string `json:"before"`
	// The verdict in the newer state.
	After string `json:"after"`
}
