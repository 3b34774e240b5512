package fixups

import (
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Aardvark is podman's resolver: one process that answers names for all of a
// host's networks, from the files that netavark writes for it.
type Aardvark struct {
	Program string `json:"program"` // its path
	Dir     string `json:"dir"`     // of those files
	// At are the sockets that it has to hold: one at each network's gateway.
	At Listeners `json:"at"`
}

// AardvarkStart starts it as netavark does (netavark src/dns/aardvark.rs:
// start_aardvark_server).
type AardvarkStart struct{ Aardvark }

// AardvarkStop ends it: what undoes AardvarkStart.
type AardvarkStop struct{ Aardvark }

func (*AardvarkStart) Kind() string { return "aardvark-start" }
func (*AardvarkStop) Kind() string  { return "aardvark-stop" }

// Netns is that of its sockets.
func (o *Aardvark) Netns() string {
	if len(o.At) == 0 {
		return ""
	}
	return o.At[0].ID
}

// Places are those of its sockets.
func (o *Aardvark) Places() []Where { return o.At.places() }

// Missing are the sockets that a snapshot lacks.
func (o *Aardvark) Missing(s *snap.Snapshot) []Listener { return o.At.missing(s) }

func (o *AardvarkStart) Describe() string {
	var at []string
	for _, l := range o.At {
		at = append(at, l.Addr.String())
	}
	return "start aardvark-dns, podman's resolver, as netavark does, at " + strings.Join(at, ", ")
}
func (o *AardvarkStop) Describe() string { return "end aardvark-dns, podman's resolver" }

func (o *AardvarkStart) Shell() []string {
	return []string{words(append([]string{o.Program}, o.Args()...)...)}
}

func (o *AardvarkStop) Shell() []string { return []string{"kill $(cat " + words(o.PidFile()) + ")"} }

// Args are its arguments.
func (o *Aardvark) Args() []string { return []string{"--config", o.Dir, "-p", "53", "run"} }

// PidFile is where it notes its process (aardvark-dns src/commands/run.rs).
func (o *Aardvark) PidFile() string { return o.Dir + "/aardvark.pid" }

func (o *AardvarkStart) On(s *snap.Snapshot) error { return o.At.open(s, "aardvark-dns") }
func (o *AardvarkStop) On(s *snap.Snapshot) error  { return o.At.shut(s) }

func (o *AardvarkStart) Inverse(s *snap.Snapshot) (Op, error) {
	if n := len(o.Missing(s)); n < len(o.At) || n == 0 {
		return nil, nil // it runs
	}
	return &AardvarkStop{o.Aardvark}, nil
}

func (o *AardvarkStop) Inverse(s *snap.Snapshot) (Op, error) {
	if len(o.Missing(s)) == len(o.At) {
		return nil, nil
	}
	return &AardvarkStart{o.Aardvark}, nil
}

func (o *AardvarkStart) Risk() Risk { return RiskLow }
func (o *AardvarkStop) Risk() Risk  { return RiskMedium }

// Object is how many of its sockets are there.
func (o *AardvarkStart) Object(s *snap.Snapshot) any { return len(o.At) - len(o.Missing(s)) }
func (o *AardvarkStop) Object(s *snap.Snapshot) any  { return len(o.At) - len(o.Missing(s)) }

func (o *AardvarkStart) Holds(s *snap.Snapshot) bool { return len(o.Missing(s)) == 0 }
func (o *AardvarkStop) Holds(s *snap.Snapshot) bool  { return len(o.Missing(s)) == len(o.At) }
