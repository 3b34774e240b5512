// Package fixups is the vocabulary of change: every change to a host is a
// value that can be described, printed as the line a person would type, tried
// on a snapshot, inverted, and given to fixups/apply, the only package that
// carries it out.
package fixups

import "github.com/netdoctor/netdoctor/inspect/snap"

// Risk says what a change may cost if it is wrong.
type Risk string

// The risks.
const (
	RiskLow    Risk = "low"    // opens or closes nothing but what was broken
	RiskMedium Risk = "medium" // other flows may change, too
	RiskHigh   Risk = "high"   // removes a protection, or interrupts traffic
)

// Op is one change to one object.
type Op interface {
	// Kind is the stable name of the sort of change, "link-set"; it is the tag
	// of its JSON form in journals.
	Kind() string
	// Netns is the Netns.ID that is changed, "" for what lies in none (a file
	// of the host, a call to an engine).
	Netns() string
	// Describe says it in one clause: "set br-app up".
	Describe() string
	// Shell gives the lines that a person would type to the same end, in the
	// host's own shell. Never nil.
	Shell() []string
	// On applies it to a snapshot in place (callers give a Clone). The error
	// says why it would not work there.
	On(*snap.Snapshot) error
	// Inverse is what puts back what is in the snapshot now, taken before the
	// change is made. nil with no error: there is nothing to put back because
	// the change would change nothing.
	Inverse(*snap.Snapshot) (Op, error)
	Risk() Risk
}
