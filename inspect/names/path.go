// Package names follows one name through a snapshot: nsswitch, hosts, the
// search list as each libc uses it, 127.0.0.11 and what stands behind it,
// upstream servers. It is pure; what a server answers is known only from
// probes in the snapshot.
package names

import (
	"net/netip"
	"time"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Verdict of a path; see cli.md.
type Verdict string

// The verdicts.
const (
	Resolved Verdict = "resolved"
	NXDomain Verdict = "nxdomain"
	NoData   Verdict = "nodata"
	ServFail Verdict = "servfail"
	Refused  Verdict = "refused"
	Timeout  Verdict = "timeout"
	Unknown  Verdict = "unknown"
)

// Input is the question.
type Input struct {
	Snap      *snap.Snapshot
	Netns     string // Netns.ID that asks
	Container string // Container.Ref, "" for the host or a plain namespace
	Name      string
	Type      string // "A" when ""
	Libc      string // "glibc", "musl", "go"; "": the resolver's own, else glibc
	TCP       bool   // ask by TCP; else by UDP, as everybody does first
	// Server is asked instead of those of resolv.conf; not valid: those.
	Server netip.AddrPort
	// Reach is the simulator's answer: does a question from that namespace get
	// to that server and the answer back? nil: not known.
	Reach func(netns string, server netip.AddrPort, proto snap.Proto) Reach
}

// Reach says whether a server can be reached.
type Reach struct {
	OK      bool // the model lets question and answer pass, as far as this host goes
	Known   bool // false: not decided
	Refused bool // not OK, and the asker is told so at once: it does not wait
	// Unsent: not OK, as the asker's own kernel has no way for the question: it is told
	// so at once, and asks the next server (glibc resolv/res_send.c: reopen; moby
	// libnetwork/resolver.go: dialExtDNS).
	Unsent bool
	// Spared: what stops the asker's questions does not see those of this program.
	Spared  bool
	Why     string
	Because []snap.Ref
	// Ends is where a question arrives or leaves this host, By the rule that sent
	// it to another address than was asked; Ends not valid: it was let be.
	Ends netip.AddrPort
	By   *rules.Place
}

// Path is the way of the name.
type Path struct {
	Name       string
	Type       string
	TCP        bool   // servers are asked by TCP
	EDNS       bool   // the asker's library asks with EDNS
	From       string // Netns.ID
	Verdict    Verdict
	Answers    []string // addresses or record texts
	Candidates []string // full names, in the order tried
	Steps      []Step
	// Problem is the first thing that keeps the name from resolving, or that
	// makes it resolve wrongly or late; nil when there is none.
	Problem *Problem
	// Others are further problems, lesser ones.
	Others []Problem
	// Libc says what each C library (and Go) would return.
	Libc map[string]Verdict
	// Waits says how long each of them waits for servers that keep silent.
	Waits map[string]time.Duration
	// Servers are the name servers on the way, in order.
	Servers []Server
}

// Server is one name server on the way.
type Server struct {
	Addr      netip.AddrPort
	AskedFrom string // Netns.ID that the question leaves from
	Role      string // "resolv.conf", "embedded", "upstream", "aardvark"
	Reach     Reach
	Probe     *snap.Probe // the last answer seen; nil none

}

// Step is one stage.
type Step struct {
	Where      string // "nsswitch", "/etc/hosts", "search list", "127.0.0.11", "DNAT", "embedded resolver", "network app", "upstream 198.51.100.53"
	Asked      string
	Answer     string
	Verdict    string // "ok", "fail", "skip", "unknown"
	LeavesFrom string // Netns.ID
	DurationMs float64
	Because    []snap.Ref
}

// Problem is what is wrong.
type Problem struct {
	Kind   string // see the list in problem.go
	Detail string // one clause with names and numbers
	// Why is the reason alone, without who asks whom; "" when nothing but silence is known.
	// From is the namespace that asks. Both with Unreachable and UpstreamDead.
	Why    string
	From   string
	Server netip.AddrPort
	// Container and Network are Refs of what it is about, "" when nothing.
	Container string
	Network   string
	Port      uint16
	// For is the name that a server alone keeps silent to, with SilentForName.
	For string
	// Domain of the search list that it is about, what is answered there, and
	// how long it is waited for.
	Domain  string
	Answers []string
	Wait    time.Duration
	// By is the rule that sends questions elsewhere, with Diverted.
	By      *rules.Place
	Ref     snap.Ref
	Because []snap.Ref
}
