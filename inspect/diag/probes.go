package diag

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The most probes that one run sends: what is suspected first, then witnesses
// of what should work.
const (
	maxSuspects  = 48
	maxWitnesses = 48
)

// questions are the probes that would prove what the model says of the flows
// and names of the input: templates without an outcome, to be sent by whoever
// may send (Kind, From, Dst, Size, DNS question filled in). Answers go into
// Snapshot.Probes of a new snapshot value, of which Build is called again.
func (in *Input) questions() []snap.Probe {
	var asked, suspect, witness []snap.Probe
	for i := range in.Flows {
		f := &in.Flows[i]
		q, ok := in.Question(f)
		switch {
		case !ok, f.Kind == "tried" && f.Excused && !in.ours(f.place()):
		case f.Asked:
			asked = append(asked, q)
		case f.Broken() || f.Unmasked || f.Kind == "tried" || f.Kind == "twin":
			suspect = append(suspect, q)
		default:
			witness = append(witness, q)
		}
	}
	for i := range in.Witnesses {
		if q, ok := in.Question(&in.Witnesses[i].FlowCase); ok {
			suspect = append(suspect, q)
		}
	}
	for i := range in.Names {
		n := &in.Names[i]
		if n.Path == nil {
			continue
		}
		if n.Asked {
			asked = append(asked, everyWay(n)...)
			continue
		}
		for _, q := range n.questions() {
			switch {
			case n.Bad():
				suspect = append(suspect, q)
			default:
				witness = append(witness, q)
			}
		}
	}
	out := unique(nil, asked, len(asked))
	out = unique(out, slices.Concat(in.whoHas(), in.askBeyond(), in.askWire()), 3*maxPinned)
	out = unique(out, in.hopQuestions(), maxHops)
	out = unique(out, in.wholeQuestions(), maxPinned)
	out = unique(out, suspect, maxSuspects)
	out = unique(out, witness, maxWitnesses)
	return in.refutations(out)
}

// Rounds are the Questions in the order in which they are to be asked, each round
// when the one before is answered: those that the model has fail for want of a
// neighbour go first, since any packet that the neighbour sends tells its address
// (net/ipv4/arp.c:arp_process), and others' would; those that fill queues go last.
func (in *Input) Rounds() [][]snap.Probe {
	lonely := map[string]bool{}
	for i := range in.Flows {
		f := &in.Flows[i]
		if w := f.Trace.Where; w != nil && (w.Cause == sim.CauseNeighFailed || w.Reason == "NEIGH_FAILED") && f.Broken() {
			if q, ok := in.Question(f); ok {
				lonely[questionKey(&q)] = true
			}
		}
	}
	fills := map[string]bool{}
	for i := range in.Witnesses {
		if q, ok := in.Question(&in.Witnesses[i].FlowCase); ok && in.Witnesses[i].Fills {
			fills[questionKey(&q)] = true
		}
	}
	var first, middle, last []snap.Probe
	for _, q := range in.questions() {
		switch k := questionKey(&q); {
		case lonely[k]:
			first = append(first, q)
		case fills[k]:
			last = append(last, q)
		default:
			middle = append(middle, q)
		}
	}
	var out [][]snap.Probe
	for _, r := range [][]snap.Probe{first, middle, last} {
		if len(r) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// questions are those that prove a name which must resolve: the name itself, or
// for one of the world the root's name servers; and names of the search list
// that come before it, at the servers of resolv.conf.
func (n *NameCase) questions() []snap.Probe {
	typ := n.Ask.Type
	if typ == "" {
		typ = "A"
	}
	var out []snap.Probe
	for _, s := range n.Path.Servers {
		q := snap.Probe{Kind: "dns", From: s.AskedFrom, Dst: s.Addr}
		if s.Role != "upstream" && s.AskedFrom == n.Path.From {
			for _, name := range names.Listed(*n.Path) {
				q.DNS = &snap.DNSProbe{Name: name, Type: typ, TCP: n.Path.TCP}
				out = append(out, q)
			}
		}
		switch {
		case n.Listed, s.Role == "upstream" && !n.World && n.Path.Verdict == names.Resolved:
			continue // the world's servers need not hear of names of this host
		case n.World:
			q.DNS = &snap.DNSProbe{Name: ".", Type: "NS", TCP: n.Path.TCP}
			if s.Role == "resolv.conf" || s.Role == "upstream" { // whose silence is no engine's bug
				out = append(out, half(q, n.Path.EDNS)...)
			}
		default:
			q.DNS = &snap.DNSProbe{Name: n.Ask.Name, Type: typ, TCP: n.Path.TCP}
		}
		out = append(out, q)
	}
	return out
}

// half are the twins of a question that a server may keep silent to although it answers
// that one: for the other family, and, where the asker does so, with EDNS.
func half(q snap.Probe, edns bool) []snap.Probe {
	six, with := q, q
	six.DNS = &snap.DNSProbe{Name: q.DNS.Name, Type: "AAAA", TCP: q.DNS.TCP}
	if !edns {
		return []snap.Probe{six}
	}
	with.DNS = &snap.DNSProbe{Name: q.DNS.Name, Type: q.DNS.Type, TCP: q.DNS.TCP, EDNS: true}
	return []snap.Probe{six, with}
}

// everyWay asks every server on the way for each full name that is tried, as
// programs do and with EDNS: what lies between may lose one and not the other.
func everyWay(n *NameCase) []snap.Probe {
	var plain, edns []snap.Probe
	for _, x := range names.Questions(*n.Path) {
		d := snap.DNSProbe{Name: x.Name, Type: x.Type, TCP: n.Path.TCP}
		e := d
		e.EDNS = true
		plain = append(plain, snap.Probe{Kind: "dns", From: x.From, Dst: x.Server, DNS: &d})
		if strings.HasPrefix(x.Name, names.ControlLabel+".") {
			continue
		}
		edns = append(edns, snap.Probe{Kind: "dns", From: x.From, Dst: x.Server, DNS: &e})
		if x.Type == "A" {
			plain = append(plain, half(plain[len(plain)-1], false)...)
		}
	}
	return append(edns, plain...)
}

// unique appends at most n questions that are not there yet.
func unique(out, more []snap.Probe, n int) []snap.Probe {
	seen := map[string]bool{}
	for i := range out {
		seen[questionKey(&out[i])] = true
	}
	for i := range more {
		if k := questionKey(&more[i]); !seen[k] && n > 0 {
			seen[k] = true
			out = append(out, more[i])
			n--
		}
	}
	return out
}

func questionKey(p *snap.Probe) string {
	k := fmt.Sprintf("%s|%s|%s|%s|%s|%d|%t", p.Kind, p.From, p.In, p.Via, p.Dst, p.Size, p.DF)
	if p.DNS != nil {
		k += fmt.Sprintf("|%s|%s|%t|%t", p.DNS.Name, p.DNS.Type, p.DNS.TCP, p.DNS.EDNS)
	}
	return k
}

// Question is the probe of a flow; ok is false where none can be sent: from
// outside, to the world at large, to a protocol that no probe speaks, or to a
// UDP service that need not answer.
func (in *Input) Question(f *FlowCase) (snap.Probe, bool) {
	ns := in.Snap.Ns(f.Flow.From)
	if f.Outside && !(in.arrivals && f.Asked && f.Flow.Iif != "") || f.Kind == "egress" || f.Kind == "diverted" || f.Kind == "turned" || f.Kind == "relay" || ns == nil || ns.Light || f.Flow.Dst.IsMulticast() {
		return snap.Probe{}, false
	}
	q := snap.Probe{From: f.Flow.From, Dst: netip.AddrPortFrom(f.Flow.Dst, f.Flow.Dport), Size: f.Flow.Size, DF: f.Flow.DF}
	if f.Outside {
		q.In, q.Src = f.Flow.Iif, netip.AddrPortFrom(f.Flow.Src, f.Flow.Sport)
	}
	switch f.Flow.Proto {
	case snap.TCP:
		q.Kind = "tcp"
		q.Size = max(q.Size, carried(f.Trace))
	case snap.UDP:
		q.Kind = "udp"
		if f.Flow.Dport == 53 && f.Flow.Size == 0 && !f.Outside {
			q.Kind = "dns"
			q.DNS = &snap.DNSProbe{Name: ".", Type: "NS"}
		}
	case snap.ICMP, snap.ICMPv6:
		q.Kind = "icmp"
	default:
		return snap.Probe{}, false
	}
	return q, true
}

// carried is how much data a probe's connection has to carry to meet what the model
// has dropped; 0: none. What drops the server's packets, or a connection that has
// carried much, no probe meets.
func carried(t *sim.Trace) int {
	if t == nil || t.Where == nil || t.Where.Reply || t.Later != sim.LaterData && t.Later != sim.LaterFull {
		return 0
	}
	return t.Size
}

// probeOf is the last probe of the very flow; nil when there is none.
func (in *Input) probeOf(f *FlowCase) *snap.Probe {
	q, ok := in.Question(f)
	if !ok {
		return nil
	}
	for i := len(in.Snap.Probes) - 1; i >= 0; i-- {
		p := &in.Snap.Probes[i]
		if p.Kind == q.Kind && p.From == q.From && p.In == q.In && p.Dst == q.Dst && p.Size == q.Size && (p.DNS == nil || !p.DNS.TCP || p.DNS.TC) && !in.halfSilent(p) {
			return p
		}
	}
	return nil
}

// halfSilent says whether nothing came to a question for IPv6 addresses or with EDNS
// from a server that answered another one: that is no matter of the way there.
func (in *Input) halfSilent(p *snap.Probe) bool {
	return p.DNS != nil && p.Outcome == snap.TimedOut && (p.DNS.Type == "AAAA" || p.DNS.EDNS) && slices.ContainsFunc(in.Snap.Probes, func(o snap.Probe) bool {
		return o.DNS != nil && o.From == p.From && o.Dst == p.Dst && o.Outcome == snap.Answered
	})
}

// ProbeSays is how a probe's outcome reads as a verdict: "delivered",
// "refused", "dropped", "" when it proves nothing.
func ProbeSays(p *snap.Probe) string {
	if p == nil {
		return ""
	}
	switch p.Outcome {
	case snap.Answered:
		return "delivered"
	case snap.Refused:
		return "refused"
	case snap.TimedOut:
		if p.DNS != nil && slices.ContainsFunc(p.DNS.Bad, func(s string) bool { return s != "source" }) {
			return "delivered" // the server answered, if only nonsense
		}
		return "dropped"
	case snap.Rejected, snap.Unroutable:
		return "dropped"
	}
	return ""
}
