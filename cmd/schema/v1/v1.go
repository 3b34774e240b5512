// Package v1 is the stable JSON of netdoctor for scripts and other programs.
// Fields may be added, never renamed, retyped or dropped. Lists are never null,
// times are RFC 3339 in UTC, durations are milliseconds in keys that end in Ms,
// addresses are strings.
package v1

import (
	"math"
	"time"
)

//go:generate go test -run TestSchemaIsCurrent -update .

// APIVersion is the value of every result's apiVersion.
const APIVersion = "netdoctor/v1"

// The kinds of results.
const (
	KindCheck        = "CheckResult"
	KindTrace        = "TraceResult"
	KindTraceSet     = "TraceSetResult"
	KindProbe        = "ProbeResult"
	KindDNS          = "DNSResult"
	KindDNSSet       = "DNSSetResult"
	KindFixPlan      = "FixPlan"
	KindFix          = "FixResult"
	KindUndo         = "UndoResult"
	KindList         = "ListResult"
	KindInspect      = "InspectResult"
	KindSnapshot     = "SnapshotResult"
	KindCapabilities = "CapabilitiesResult"
	KindExplain      = "ExplainResult"
	KindVersion      = "VersionResult"
	KindLab          = "LabResult"
	KindSetup        = "SetupResult"
)

// Head begins every result.
type Head struct {
	// Always "netdoctor/v1".
	APIVersion string `json:"apiVersion"`
	// The sort of result: CheckResult, TraceResult and so on.
	Kind string `json:"kind"`
	// When the command began, UTC.
	StartedAt time.Time `json:"startedAt"`
	// How long it took, in milliseconds.
	DurationMs float64 `json:"durationMs"`
}

// Tail ends every result.
type Tail struct {
	// What was looked at, and what could not be.
	Coverage Coverage `json:"coverage"`
	// What is wrong, the first one to repair first.
	Findings []Finding `json:"findings"`
}

// Coverage says what was looked at.
type Coverage struct {
	// Codes of the checks that ran.
	Ran []string `json:"ran"`
	// Checks and readers that could not do their work.
	Skipped []Skip `json:"skipped"`
}

// Skip is a check or a reader that could not do its work.
type Skip struct {
	// The check's code, or the noun that could not be read ("ruleset").
	Check string `json:"check"`
	// Why not.
	Reason string `json:"reason"`
	// What it would take; empty when nothing helps.
	Needs string `json:"needs"`
	// The namespace it was about; empty when none.
	Netns string `json:"netns,omitempty"`
}

// Result is what every result can be asked for.
type Result interface {
	// Meta gives access to the head.
	Meta() *Head
	// Found gives access to coverage and findings.
	Found() *Tail
}

// Meta is the head itself.
func (h *Head) Meta() *Head { return h }

// Found is the tail itself.
func (t *Tail) Found() *Tail { return t }

// Ms is a duration in milliseconds with three decimals.
func Ms(d time.Duration) float64 { return math.Round(float64(d)/float64(time.Microsecond)) / 1000 }

// Time is a point of time as results have it: UTC, whole milliseconds.
func Time(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
