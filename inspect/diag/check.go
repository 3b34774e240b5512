package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// Check is one thing that can be wrong. Checks live one a file in
// inspect/diag/checks.
type Check struct {
	Code     Code
	Name     string   // "bridge-down": short, stable, lower case with dashes
	Title    string   // the fault as a fact: "The bridge is administratively down"
	Severity Severity // unless the finding says another
	Since    string   // version of this program that brought it
	// Doc is its page: why it happens, then "See it by hand:" with plain
	// commands, then "Sources:".
	Doc string
	// After are the codes whose consequence it is: a finding is folded under one
	// of those when both explain the same flow, name or subject.
	After []Code
	// Audit: it looks for what is exposed rather than for what fails, and only
	// when that is asked for (Options.Audit).
	Audit bool
	// CatchAll marks a check that tells where packets or names die without
	// knowing why: any other error that explains all of its cases hides it.
	CatchAll bool
	// Needs are nouns (Gap.What) without which it can't run; it is then listed
	// as skipped.
	Needs  []string
	Detect func(*Input) []Finding
	// Fix gives the operations that mend a finding; nil or an empty list:
	// advice only. It runs after Detect, on findings that have no Fix yet.
	Fix func(*Input, *Finding) []fixups.Op
}

// Ask is a flow or a name that a person asked for, beside those that the
// host's own configuration says must work.
type Ask struct {
	From string // as people call it: "web"
	To   string // "198.51.100.20:80/tcp", "myservice"
	Flow *sim.Flow
	Name *NameAsk
	// Container is the Ref of the container that To stands for, "" when it is none.
	Container string
	// Outside says that the flow comes from beyond this host (its source can't
	// be probed from here).
	Outside bool
}

// NameAsk is a name to be resolved in a namespace.
type NameAsk struct {
	Netns     string
	Container string // Container.Ref, "" for the host or a plain namespace
	Name      string
	Type      string // "A" when ""
	// TCP and Server are those of names.Input.
	TCP    bool
	Server netip.AddrPort
}

// FlowCase is one flow that must work, or that was asked for, with what the
// model and the wire say of it.
type FlowCase struct {
	// Kind: "asked", "peer", "gateway", "egress", "upstream", "published", "published-local", "published-own", "banned", "service", "ingress", "host", "proxy", "diverted", "turned", "relay", "tried", "twin", "witness", HTTPProxy.
	Kind    string
	From    string
	To      string
	Flow    sim.Flow
	Network string     // Network.Ref that says it must work; "" for none
	Target  string     // Container.Ref that should answer; "" none
	Port    *snap.Port // published port it goes to; nil none
	Because []snap.Ref
	By      *snap.Socket // that waits for this connection, of kind "tried"; nil not known
	Asked   bool
	Outside bool
	Trace   *sim.Trace
	Probe   *snap.Probe // the last live probe of this very flow; nil none
	// Unmasked: it leaves this host with a private source that nobody out
	// there can answer.
	Unmasked bool
	// Excused: a sibling of it works (another sender outside, another
	// destination), or it ends at its target's own filter, so that what stops it
	// may be meant.
	Excused bool
	// Astray: it is answered, but by somebody else than its Target, or than the world that it is sent to.
	Astray bool
	// Settled: the model leaves open whether its place stops the flow (a limit, a
	// rate, a random match), and the probe was seen to die just there.
	Settled bool
}

// NameCase is one name that must resolve, or that was asked for.
type NameCase struct {
	From  string
	Ask   NameAsk
	Asked bool
	// World says that any name of the Internet would do: it stands for them all.
	World bool
	// Wanted is what tells the asker to use the name: a variable of its
	// environment, "its command line"; "" when it just ought to resolve.
	Wanted string
	// Listed says of such a name that the search list comes before it.
	Listed  bool
	Because []snap.Ref
	Path    *names.Path
}

// Input is what checks look at: built once.
type Input struct {
	Snap  *snap.Snapshot
	World *sim.World
	Graph *walk.Graph
	Flows []FlowCase
	Names []NameCase
	Asks  []Ask
	// Witnesses are tried in place of flows that may not be, or would not show it.
	Witnesses []Witness
	// Forbidden are flows that must not get through; of an audit only.
	Forbidden []FlowCase
	// Sealed are containers of nothing but internal networks that ask for a name
	// of the world; of an audit only.
	Sealed []NameCase
	Own    []fixups.Op // see Options

	bare      *Input                   // see Bare; nil: not made yet
	opened    *sim.World               // see ifOpen; nil: not made yet
	reached   map[reachKey]names.Reach // answers of reach, kept
	nears     map[*sim.Trace]*Near     // what Near found, by the trace of the flow
	read      int                      // rules that Near has read
	wants     []intent.Set             // see engineRules; nil: not asked yet
	onlyAsked bool
	arrivals  bool
	audit     bool
	targets   []string // Options.Only
}

// Sought says whether a person asked for a container itself, of which nothing can be
// followed: it has no namespace.
func (in *Input) Sought(c *snap.Container) bool {
	return slices.Contains(in.targets, c.Ref) || slices.ContainsFunc(in.Asks, func(a Ask) bool { return a.Container == c.Ref && a.Flow == nil && a.Name == nil })
}

// Skip is a check that could not run.
type Skip struct {
	Code   Code
	Name   string
	Reason string
	Needs  string
}

// Report is what Run found.
type Report struct {
	Findings []Finding // root causes first
	Ran      []Code
	Skipped  []Skip
	// Checked counts the single things that were looked at and found right:
	// flows and names.
	Checked int
}

// Options of Build; the zero value looks at everything.
type Options struct {
	// OnlyAsked leaves out what the host's configuration says, and looks at the
	// asked flows and names alone (trace, dns).
	OnlyAsked bool
	// Only keeps the expectations that touch one of these Netns.IDs, or the Refs of
	// containers that have none; nil all.
	Only []string
	// Audit looks for what is exposed, too.
	Audit bool
	// Own tells what networks of our own should have in the kernel, in the order in
	// which it is made (testenv/driver: Intent); nil: nothing is said of them.
	Own func(*snap.Snapshot) []fixups.Op
	// Arrivals lets packets of senders beyond this host be tried, too: they come in
	// by a device as if those had sent them.
	Arrivals bool
}
