package app

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// App does what the commands ask for. New fills in the real fields.
type App struct {
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Build is what version answers, without its head.
	Build v1.VersionResult
	// Checks are all checks, in the order of their codes.
	Checks []diag.Check

	// Read reads this machine. nil: it can't be read with this binary.
	Read func(context.Context, ReadOptions) (*snap.Snapshot, error)
	// Open opens a file to read.
	Open func(path string) (io.ReadCloser, error)
	// Load and Save are the snapshot format. Write saves in a file for its owner
	// alone, which must not be there yet unless force, and gives its size in
	// bytes. Redact makes the copy that may be given away.
	Load   func(io.Reader) (*snap.Snapshot, error)
	Save   func(io.Writer, *snap.Snapshot) error
	Write  func(path string, s *snap.Snapshot, force bool) (int64, error)
	Redact func(*snap.Snapshot) *snap.Snapshot
	// Probe puts live questions; answers come in the order of the questions, with
	// who watched them. nil: nothing is ever sent.
	Probe func(context.Context, *snap.Snapshot, []snap.Probe, Observe) ([]snap.Probe, []snap.Observer)
	// Again is Probe with more patience, for questions of which the silence is in
	// doubt. nil: they are not asked again.
	Again func(context.Context, *snap.Snapshot, []snap.Probe, Observe) ([]snap.Probe, []snap.Observer)
	// Count sends the flow of a probe again, in bursts, and gives the counters of
	// those namespaces that grew by exactly what was sent. nil: nothing is counted.
	Count func(context.Context, *snap.Snapshot, *snap.Probe, []string) ([]snap.Counted, error)
	// Limits is the snapshot with what containers' limits have come to while they were
	// probed. nil: they are not looked at again.
	Limits func(*snap.Snapshot) *snap.Snapshot
	// Track fills in what conntrack has of flows. nil: it is not asked.
	Track func(context.Context, *snap.Snapshot, []snap.Tracked) error
	// TraceRules has the kernel tell of the rules that a packet of a probe's flow
	// meets in those namespaces: it changes them for that moment. Reclaim takes
	// away what a run that was killed meanwhile has left there, and says what that
	// was. nil: rules are not traced.
	TraceRules func(context.Context, *snap.Snapshot, *snap.Probe, []string) ([]snap.Ruled, error)
	Reclaim    func(context.Context) ([]string, error)
	// PathMTU sends echoes of many sizes, up to a packet of limit bytes, that may
	// not be cut. nil: that is not measured.
	PathMTU func(ctx context.Context, s *snap.Snapshot, from string, dst netip.Addr, limit int) []snap.Probe
	// Routes asks the kernel for routing decisions; answers by Netns.ID, each in
	// the order of its questions. nil: it is not asked.
	Routes func(context.Context, *snap.Snapshot, []sim.RouteAsk) (map[string][]snap.RouteAnswer, []snap.Gap)
	// Departed are the containers, by index, whose process has ended since the
	// snapshot was read; nil: that is not looked at.
	Departed func(*snap.Snapshot) []int
	// StandIn begins to answer in a namespace; nil: it can't with this binary.
	StandIn func(*snap.Netns, snap.Proto, netip.AddrPort) (Stand, error)
	// Drops begins to tell of the packets that the kernel drops; nil: that can't
	// be seen with this binary.
	Drops func(*snap.Snapshot) (Drops, error)
	// Notices begins to tell that something changed, as the kernel tells of it; nil:
	// it is only looked from time to time.
	Notices func(*snap.Snapshot) (Notices, error)
	// Changer changes the machine; nil: it can't be changed with this binary.
	Changer Changer
	// Settle is how long a change may take to show; 0: at once.
	Settle time.Duration
	// Nets builds networks of our own; nil: this binary can't.
	Nets Nets
	// Can says what this process may do here.
	Can func(context.Context) []v1.Ability

	// Note is told what a person should know beside the answer: what a name was
	// taken for, what was left out. nil drops it.
	Note func(string)
	// Waiting is told what is being waited for, "" when nothing is any more.
	Waiting func(string)
}

// ReadOptions say how to read the machine.
type ReadOptions struct {
	HostNS     string // path or pid of the namespace that is "the host"; "" our own
	Runtime    string // the only engine to ask; "" all
	DockerHost string // "" the environment's
}

// Valid says what is wrong with the options themselves, before anything is read.
func (o *ReadOptions) Valid() error {
	if known := append([]string{"auto"}, engine.Names()...); o.Runtime != "" && !slices.Contains(known, o.Runtime) {
		return Meant(Usagef("--runtime %q is none of %s", o.Runtime, strings.Join(known, ", ")), o.Runtime, known, "")
	}
	if o.DockerHost != "" {
		if err := engine.CheckDockerHost(o.DockerHost); err != nil {
			return badFile{snap.Hint(err, "as in unix:///var/run/docker.sock or tcp://127.0.0.1:2375")}
		}
	}
	return nil
}

// Common are the options of every reading command. The zero value reads this
// machine, may send probes, and fails on errors.
type Common struct {
	Snapshot string // file to read instead of the machine; "-" is stdin
	// Others are the snapshots of other hosts, which are joined with that one.
	Others  []string
	Read    ReadOptions
	NoProbe bool
	Family  Family
	FailOn  diag.Severity // "" is error
	Verbose bool
	Observe Observe
	// TraceRules has the kernel's own trace of rules looked at: that adds a table
	// of nf_tables, for a moment, in each namespace on the way.
	TraceRules bool
	// Inject has packets of senders beyond this host come in by a device, as if
	// those had sent them.
	Inject bool
	// Ladder has the path MTU of what was asked for measured.
	Ladder bool
	Stdin  io.Reader // for "-"; nil none

}

// Observe names the ways in which probes are watched, as snap.Observer does; nil
// is all that there are.
type Observe []string

// Observers are the names for Observe; "none" is none of them.
func Observers() []string {
	return []string{"tracepoints", "packet-sockets", "counters", "conntrack", "none"}
}

func (o Observe) has(name string) bool { return o == nil || slices.Contains(o, name) }

// without is the others; never nil.
func (o Observe) without(name string) Observe {
	out := Observe{}
	for _, n := range Observers() {
		if n != name && o.has(n) {
			out = append(out, n)
		}
	}
	return out
}

// Tx is what mends one finding: its steps are done or undone together.
type Tx struct {
	ID  string // the finding's code
	Run string // the run of fix that it belongs to
	Ops []fixups.Op
}

// Applied is what a Changer did.
type Applied struct {
	Transaction string   // what Undo takes; "" when nothing was changed
	Left        []string // what a failed rollback left behind
}

// Transaction is one entry of the journal.
type Transaction struct {
	ID     string
	Run    string // of fix; undo without an ID puts back all of it
	At     time.Time
	State  string // "done", "undone", "open" …
	Fixes  []string
	Detail []string
	// Past is of before the machine was started last, Elsewhere of another host
	// namespace: neither can be undone here.
	Past, Elsewhere bool
}

// Changer changes the machine, with a journal. Apply's error is nil when all
// steps are done; it wraps ErrRolledBack or ErrRollbackIncomplete otherwise, or
// neither when nothing was begun.
type Changer interface {
	Apply(context.Context, *snap.Snapshot, Tx) (Applied, error)
	// Undo puts back one transaction, "" for the last one that can be.
	Undo(ctx context.Context, id string) (Transaction, []string, error)
	List(context.Context) ([]Transaction, error)
}

func (a *App) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

func (a *App) note(format string, args ...any) {
	if a.Note != nil {
		a.Note(fmt.Sprintf(format, args...))
	}
}

func (a *App) waiting(what string) {
	if a.Waiting != nil {
		a.Waiting(what)
	}
}

// head begins a result.
func (a *App) head(kind string, start time.Time) v1.Head {
	return v1.Head{APIVersion: v1.APIVersion, Kind: kind, StartedAt: v1.Time(start), DurationMs: v1.Ms(a.now().Sub(start))}
}

// live says whether questions may be put on the wire.
func (c Common) live() bool { return c.Snapshot == "" && !c.NoProbe }
