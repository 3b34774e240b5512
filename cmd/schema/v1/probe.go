package v1

// ProbeResult is the answer of probe: one flow, or the whole matrix.
type ProbeResult struct {
	Head
	// healthy: all that was tried is as expected, and what must work works;
	// problems: something is not; unknown: nothing could be tried or told.
	Verdict string `json:"verdict" enum:"healthy,problems,unknown"`
	// How many flows and names are what.
	Summary ProbeSummary `json:"summary"`
	// One for each flow and each name, in the order of senders.
	Cells []ProbeCell `json:"cells"`
	// Who watched the packets on their way, and who could not.
	Observers []Observer `json:"observers"`
	Tail
}

// ProbeSummary counts cells.
type ProbeSummary struct {
	// All of them.
	Cells int `json:"cells"`
	// Of which something was seen.
	Seen int `json:"seen"`
	// As expected.
	Same int `json:"same"`
	// Other than expected.
	Differ int `json:"differ"`
	// What must work by this host's own configuration, and does not.
	Broken int `json:"broken"`
	// Left out, as there were too many.
	LeftOut int `json:"leftOut"`
}

// ProbeCell is one flow or name.
type ProbeCell struct {
	// The sender, as people call it.
	From string `json:"from"`
	// The destination, or the name that was asked for.
	To string `json:"to"`
	// The sender's namespace.
	Netns string `json:"netns"`
	// Where it went; empty for a name.
	Address string `json:"address"`
	// tcp, udp, icmp, or dns for a name.
	Proto string `json:"proto"`
	// member, published, gateway, egress, name and so on; asked for what a person asked.
	Why string `json:"why"`
	// This host's own configuration says that it must work.
	Must bool `json:"must"`
	// What the model says of it, from the state of the host.
	Expected string `json:"expected"`
	// What a real packet, or question, met; empty when none was sent or it proves nothing.
	Seen string `json:"seen"`
	// In words.
	Detail string `json:"detail"`
	// Where it was seen to end, or where the model says so; null when it arrives.
	Where *Where `json:"where"`
	// Round trip in milliseconds; 0 when nothing came.
	RTTMs float64 `json:"rttMs"`
}

// Differs says that what was seen is not what was expected.
func (c *ProbeCell) Differs() bool {
	return c.Seen != "" && c.Expected != "" && c.Expected != "unknown" && c.Seen != c.Expected
}

// Broken says that it must work and does not.
func (c *ProbeCell) Broken() bool {
	v := c.Seen
	if v == "" {
		v = c.Expected
	}
	return c.Must && v != "delivered" && v != "resolved" && v != "nodata" && v != "unknown" && v != ""
}
