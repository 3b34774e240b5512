package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Helper is the process that answers names in the containers of networks of our
// own, and takes connections that no rule leads on.
type Helper struct {
	Dir string `json:"dir"` // of the state that it serves
	// At are the sockets that it has to hold: the resolvers' and those of
	// published ports.
	At Listeners `json:"at"`
}

// HelperStart starts it, or has one that is there open what it lacks.
type HelperStart struct{ Helper }

// HelperStop ends it: what undoes HelperStart.
type HelperStop struct{ Helper }

func (*HelperStart) Kind() string { return "helper-start" }
func (*HelperStop) Kind() string  { return "helper-stop" }

// Netns is "": its sockets are in many.
func (o *Helper) Netns() string { return "" }

// Places are those of its sockets.
func (o *Helper) Places() []Where { return o.At.places() }

func (o *HelperStart) Describe() string {
	return fmt.Sprintf("start netdoctor's helper with its %d sockets: it answers names in containers, and takes connections to published ports", len(o.At))
}
func (o *HelperStop) Describe() string { return "end netdoctor's helper" }

func (o *HelperStart) Shell() []string { return []string{"netdoctor setup"} }
func (o *HelperStop) Shell() []string {
	return []string{words("pkill", "-f", "^netdoctor:helper")}
}

// Missing are the sockets that a snapshot lacks.
func (o *Helper) Missing(s *snap.Snapshot) []Listener { return o.At.missing(s) }

func (o *HelperStart) On(s *snap.Snapshot) error { return o.At.open(s, "netdoctor") }
func (o *HelperStop) On(s *snap.Snapshot) error  { return o.At.shut(s) }

func (o *HelperStart) Inverse(s *snap.Snapshot) (Op, error) {
	if n := len(o.Missing(s)); n < len(o.At) || n == 0 {
		return nil, nil // it runs
	}
	return &HelperStop{o.Helper}, nil
}

func (o *HelperStop) Inverse(s *snap.Snapshot) (Op, error) {
	if len(o.Missing(s)) == len(o.At) {
		return nil, nil
	}
	return &HelperStart{o.Helper}, nil
}

func (o *HelperStart) Risk() Risk { return RiskLow }
func (o *HelperStop) Risk() Risk  { return RiskMedium }

// Object is how many of its sockets are there.
func (o *HelperStart) Object(s *snap.Snapshot) any { return len(o.At) - len(o.Missing(s)) }
func (o *HelperStop) Object(s *snap.Snapshot) any  { return len(o.At) - len(o.Missing(s)) }

func (o *HelperStart) Holds(s *snap.Snapshot) bool { return len(o.Missing(s)) == 0 }
func (o *HelperStop) Holds(s *snap.Snapshot) bool  { return len(o.Missing(s)) == len(o.At) }
