package diag

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Code names a check for good: "ND3101". Codes are never reused.
type Code string

// Severity of a finding.
type Severity string

// The severities. Error: traffic or names that are asked for do not work.
// Warning: works now, but will break or works by luck. Info: worth knowing.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Rank orders severities: 2 error, 1 warning, 0 info.
func (s Severity) Rank() int {
	switch s {
	case Error:
		return 2
	case Warning:
		return 1
	}
	return 0
}

// Confidence says how a finding is known.
type Confidence string

// The confidences.
const (
	Predicted    Confidence = "predicted"    // from the snapshot alone
	Proved       Confidence = "proved"       // a live probe shows the same
	Contradicted Confidence = "contradicted" // a live probe shows the opposite
)

// Finding is one thing that is wrong.
type Finding struct {
	Code       Code
	Name       string // the check's short name: "bridge-down"
	Severity   Severity
	Summary    string // one sentence with the names and numbers: what is wrong where
	Cause      string // the root cause in plain words
	Subject    Subject
	Flows      []FlowRef // which suffer
	Confidence Confidence
	Behind     string // what stops one of the flows once this is mended, and no other finding tells; "" nothing
	Unproved   string // why it is not proved, where packets were sent; "" when it is
	Evidence   []Evidence
	Hides      []Hidden // consequences folded under it
	Fix        *Fix     // nil: see Advice
	Advice     string   // what a person should do, when there is no Fix or beside it
	// Cure is what would mend it, where that is not this program's to do: it is
	// tried on the value like a fix, to find what the cause explains. It is not
	// looked at when there is a Fix.
	Cure []fixups.Op
	// Asked marks a finding about the very flow or name that was asked for.
	Asked bool
	// covers holds the indices of the Input's traces and names it explains.
	Covers Cover
	// Weight breaks ties between findings of one severity: larger comes first.
	Weight int
	heals  bool // its fix, tried on the value, mends broken flows or names
	next   []next
}

// Cover is the set of symptoms that a finding explains.
type Cover struct {
	Traces []int // into Input.Traces
	Names  []int // into Input.Names
}

// Subject is what is broken.
type Subject struct {
	Kind  string // "link", "bridge", "container", "network", "rule", "chain", "route", "sysctl", "resolver", "port", "engine", "host", "name", "address"
	Name  string
	Netns string
}

// FlowRef names a flow for people: "web" → "198.51.100.53:53/udp".
type FlowRef struct {
	From string
	To   string
}

// Evidence is a literal line of the host, with the command that shows it.
type Evidence struct {
	Source string   // "ip -n web route", "iptables -S FORWARD", "probe 3"
	Text   string   // the line itself
	Ref    snap.Ref // into the snapshot; "" only for what is absent from it
}

// Hidden is a consequence that is not shown of its own.
type Hidden struct {
	Code    Code
	Count   int
	Summary string // of the first
}

// Fix mends a finding.
type Fix struct {
	Ops []fixups.Op
	// Survives says how long it lasts: "until reboot", "until dockerd restarts", "permanent".
	Survives string
	// Durable says in one sentence what makes it last, "" when it does.
	Durable string
}

// Risk is the highest of its operations.
func (f *Fix) Risk() fixups.Risk {
	r := fixups.RiskLow
	for _, op := range f.Ops {
		switch op.Risk() {
		case fixups.RiskHigh:
			return fixups.RiskHigh
		case fixups.RiskMedium:
			r = fixups.RiskMedium
		}
	}
	return r
}
