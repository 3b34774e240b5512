package v1

// Finding is one thing that is wrong.
type Finding struct {
	// Stable code of the check: ND3101.
	Code string `json:"code"`
	// Short stable name of the check.
	Name string `json:"name"`
	// error: traffic or names asked for do not work; warning: works now, but will
	// break or works by luck; info: worth knowing.
	Severity string `json:"severity" enum:"error,warning,info"`
	// One sentence with the names and numbers: what is wrong, where.
	Summary string `json:"summary"`
	// The root cause in plain words.
	Cause string `json:"cause"`
	// What is broken.
	Subject Subject `json:"subject"`
	// Which flows suffer.
	Flows []FlowRef `json:"flows"`
	// predicted from the state read, proved by a live probe, or contradicted by one.
	Confidence string `json:"confidence" enum:"predicted,proved,contradicted"`
	// Why it is not proved although packets were sent; empty when it is.
	Unproved string `json:"unproved,omitempty"`
	// What stops one of these flows once this is mended, where no other finding
	// tells of it; empty for nothing.
	Behind string `json:"behind,omitempty"`
	// Literal lines of the host, with the command that shows each.
	Evidence []Evidence `json:"evidence"`
	// Codes of consequences that are folded under this one.
	Hides []string `json:"hides"`
	// The same consequences, with their number and the first one's sentence.
	Hidden []Hidden `json:"hidden"`
	// What mends it; null when only advice can be given.
	Fix *Fix `json:"fix"`
	// What a person should do; empty when the fix is all.
	Advice string `json:"advice"`
}

// Subject is what is broken.
type Subject struct {
	// link, bridge, container, network, rule, chain, route, sysctl, resolver,
	// port, engine, host, name or address.
	Kind string `json:"kind"`
	// Its name.
	Name string `json:"name"`
	// The network namespace it is in; empty when it is in none.
	Netns string `json:"netns"`
}

// FlowRef names a flow.
type FlowRef struct {
	// The sender, as people call it.
	From string `json:"from"`
	// The destination.
	To string `json:"to"`
}

// Evidence is a literal line of the host.
type Evidence struct {
	// The command that shows it.
	Source string `json:"source"`
	// The line itself.
	Text string `json:"text"`
	// Where it is in a snapshot; empty for what is absent from it.
	Ref string `json:"ref,omitempty"`
}

// Hidden is a consequence that is not shown on its own.
type Hidden struct {
	// Its code.
	Code string `json:"code"`
	// How many there are.
	Count int `json:"count"`
	// The sentence of the first.
	Summary string `json:"summary"`
}

// Fix mends a finding.
type Fix struct {
	// What to give to "netdoctor fix"; unique in one result.
	ID string `json:"id"`
	// What it may cost if it is wrong.
	Risk string `json:"risk" enum:"low,medium,high"`
	// Undo can put back what was.
	Reversible bool `json:"reversible"`
	// How long it lasts: until reboot, until the engine restarts, permanent.
	Survives string `json:"survives"`
	// What makes it last, in one sentence; empty when it does.
	Durable string `json:"durable,omitempty"`
	// The lines that a person would type to the same end.
	Commands []string `json:"commands"`
}
