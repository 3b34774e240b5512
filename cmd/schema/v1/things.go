package v1

import "encoding/json"

// ListResult is the answer of ls and of undo --list.
type ListResult struct {
	Head
	// What is listed.
	Of string `json:"of"`
	// The things, in a stable order.
	Items []Item `json:"items"`
	Tail
}

// Item is one thing of a list.
type Item struct {
	// container, network, netns, engine, port, finding or transaction.
	Kind string `json:"kind"`
	// What it is called.
	Name string `json:"name"`
	// How to name it as a target; empty when it can't be one.
	Target string `json:"target"`
	// The engine's or kernel's identity; empty when it has none.
	ID string `json:"id"`
	// running, exited, up and so on; empty when it has none.
	State string `json:"state"`
	// The network namespace it lives in; empty when it has none.
	Netns string `json:"netns"`
	// Addresses it holds.
	Addresses []string `json:"addresses"`
	// Networks it is on, by name.
	Networks []string `json:"networks"`
	// Published ports: "0.0.0.0:8080→80/tcp".
	Ports []string `json:"ports"`
	// What a transaction changed, step by step; Detail is all of it in one line.
	Steps []string `json:"steps"`
	// What else there is to know, in words.
	Detail string `json:"detail"`
}

// InspectResult is the answer of inspect.
type InspectResult struct {
	Head
	// What it is about.
	Subject Subject `json:"subject"`
	// Facts in sections, as shown on screen.
	Sections []Section `json:"sections"`
	// The object as a snapshot file holds it. Its inner shape belongs to the
	// snapshot format and may change.
	Object json.RawMessage `json:"object"`
	Tail
}

// Section is a group of facts.
type Section struct {
	// What the facts are about.
	Title string `json:"title"`
	// The facts, in a stable order.
	Facts []Fact `json:"facts"`
}

// Fact is one line.
type Fact struct {
	// What the fact is about.
	Name string `json:"name"`
	// What it is.
	Value string `json:"value"`
}

// SnapshotResult is the answer of snapshot, on stderr or with -o json when the
// file is not stdout.
type SnapshotResult struct {
	Head
	// Where it was written; "-" for stdout.
	File string `json:"file"`
	// Size of the file.
	Bytes int64 `json:"bytes"`
	// What was replaced by pseudonyms; empty when nothing was.
	Redacted []string `json:"redacted"`
	// What is inside.
	Contents []Fact `json:"contents"`
	Tail
}

// CapabilitiesResult is the answer of capabilities.
type CapabilitiesResult struct {
	Head
	// The host.
	Host HostInfo `json:"host"`
	// What this process may do here.
	Can []Ability `json:"can"`
	// Host programs that fixes could use, with their paths.
	Tools []Fact `json:"tools"`
	// What could not be read just now.
	Gaps []Skip `json:"gaps"`
	Tail
}

// Ability is one thing that a process may or may not do.
type Ability struct {
	// A short stable name.
	Name string `json:"name"`
	// yes, no or unknown.
	Have string `json:"have" enum:"yes,no,unknown"`
	// What it is needed for.
	For string `json:"for"`
	// Why not, and what it takes; empty when it may.
	Why string `json:"why"`
	// What it would take; empty when it may.
	Needs string `json:"needs"`
}

// ExplainResult is the answer of explain.
type ExplainResult struct {
	Head
	// The code.
	Code string `json:"code"`
	// Short stable name of the check.
	Name string `json:"name"`
	// The fault as a fact.
	Title string `json:"title"`
	// error, warning or info, unless a finding says another.
	Severity string `json:"severity"`
	// Version of this program that brought it.
	Since string `json:"since"`
	// The page: why it happens, how to see it by hand, sources.
	Doc string `json:"doc"`
	// Codes that hide it when they explain the same.
	After []string `json:"after"`
	// A fix is known.
	Fixable bool `json:"fixable"`
	Tail
}

// VersionResult is the answer of version.
type VersionResult struct {
	Head
	// The version of this program.
	Version string `json:"version"`
	// The commit it was built from; empty when unknown.
	Commit string `json:"commit"`
	// It was built from a changed tree.
	Modified bool `json:"modified"`
	// The commit's time; empty when unknown.
	Date string `json:"date"`
	// The Go release it was built with.
	Go string `json:"go"`
	// Operating system it was built for.
	OS string `json:"os"`
	// Processor it was built for.
	Arch string `json:"arch"`
	// The version of the snapshot format.
	SnapshotSchema int `json:"snapshotSchema"`
	Tail
}

// LabResult is the answer of the lab commands.
type LabResult struct {
	Head
	// up, break, heal, faults, score, demo or down.
	Action string `json:"action"`
	// The lab's name.
	Lab string `json:"lab"`
	// What happened or what there is, one line each.
	Items []Fact `json:"items"`
	Tail
}
