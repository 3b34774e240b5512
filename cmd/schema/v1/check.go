package v1

// CheckResult is the answer of check.
type CheckResult struct {
	Head
	// healthy: nothing at or above --fail-on; problems; unknown: what could not
	// be read decides.
	Verdict string `json:"verdict" enum:"healthy,problems,unknown"`
	// What was asked for; empty means everything.
	Targets []string `json:"targets"`
	// The host in one line's worth of facts.
	Host HostInfo `json:"host"`
	// Counts.
	Summary Summary `json:"summary"`
	// Flows and names that were looked at: all of them with --verbose, else
	// those that do not work.
	Checked []Checked `json:"checked"`
	// Packets that were sent to prove it, in order.
	Sent []Sent `json:"sent"`
	Tail
}

// Summary counts.
type Summary struct {
	// Findings of severity error.
	Errors int `json:"errors"`
	// Findings of severity warning.
	Warnings int `json:"warnings"`
	// Findings of severity info.
	Infos int `json:"infos"`
	// Flows and names that were found right.
	Passed int `json:"passed"`
	// Ways of which neither the model nor a probe can say whether they work.
	Unknown int `json:"unknown"`
	// Checks and readers that could not do their work.
	Skipped int `json:"skipped"`
	// Networks that were found.
	Networks int `json:"networks"`
	// Containers that were found.
	Containers int `json:"containers"`
	// Containers that run.
	Running int `json:"running"`
	// Network namespaces that were found.
	Netns int `json:"netns"`
}

// HostInfo describes the host.
type HostInfo struct {
	// Its host name; a pseudonym in a redacted snapshot.
	Name string `json:"name"`
	// Kernel release.
	Kernel string `json:"kernel"`
	// Distribution; empty when unknown.
	Distro string `json:"distro"`
	// Who runs containers here.
	Engines []EngineInfo `json:"engines"`
	// When the state was read, UTC, RFC 3339; for a snapshot file that is in the past.
	ReadAt string `json:"readAt"`
	// The state comes from this file; empty when it was read from the machine.
	Snapshot string `json:"snapshot,omitempty"`
}

// EngineInfo is one container engine.
type EngineInfo struct {
	// docker, podman, containerd, cni and so on.
	Name string `json:"name"`
	// Its version; empty when unknown.
	Version string `json:"version"`
	// How it writes firewall rules; empty when unknown.
	Rules string `json:"rules"`
	// It answered.
	Reachable bool `json:"reachable"`
	// Its containers are not on this host: it runs them elsewhere.
	Remote bool `json:"remote"`
	// Why it did not answer, or where it runs them; empty otherwise.
	Error string `json:"error"`
}

// Checked is one flow or name that was looked at.
type Checked struct {
	// flow or name.
	Kind string `json:"kind" enum:"flow,name"`
	// Why it was looked at: asked, peer, gateway, egress, upstream, published and so on.
	Why string `json:"why"`
	// The sender.
	From string `json:"from"`
	// The destination, or the name.
	To string `json:"to"`
	// What the model says.
	Predicted string `json:"predicted"`
	// What the wire says; empty when it was not asked.
	Proved string `json:"proved"`
}

// Sent is one live question that was put on the wire, and what came back.
type Sent struct {
	// tcp, udp, icmp, arp, dns or http.
	Kind string `json:"kind"`
	// The namespace it was sent from.
	From string `json:"from"`
	// Where it came from, with the port where there is one; empty when the kernel chose.
	Src string `json:"src"`
	// Where it went, with the port where there is one.
	Dst string `json:"dst"`
	// The name and type of a DNS question; empty otherwise.
	Question string `json:"question"`
	// answered, refused, rejected, timeout, unroutable or error.
	Outcome string `json:"outcome"`
	// What came back, in words; empty when nothing is to be said.
	Detail string `json:"detail"`
	// Packets or questions sent.
	Packets int `json:"packets"`
	// Answers that came.
	Answers int `json:"answers"`
	// Round trip in milliseconds; 0 when nothing came.
	RTTMs float64 `json:"rttMs"`
	// Where its packets were seen, in order; empty when nobody watched.
	Seen []Sighting `json:"seen"`
}

// Sighting is one packet at one place.
type Sighting struct {
	// receive: a device handed it to the stack; transmit: the stack handed it to
	// a device; drop: the kernel freed it.
	What string `json:"what" enum:"receive,transmit,drop"`
	// The namespace.
	Netns string `json:"netns"`
	// The device; empty when it was on none.
	Device string `json:"device"`
	// Its source there.
	Src string `json:"src"`
	// Its destination there.
	Dst string `json:"dst"`
	// It is the answer, or an error about the question.
	Answer bool `json:"answer"`
	// It is an ICMP error.
	Error bool `json:"error"`
	// The kernel's reason for dropping it.
	Reason string `json:"reason,omitempty"`
	// The kernel function that dropped it.
	Func string `json:"func,omitempty"`
	// How often it was seen.
	Times int `json:"times"`
	// Milliseconds since the first.
	AfterMs float64 `json:"afterMs"`
}
