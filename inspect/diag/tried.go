package diag

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Of what containers try: how fresh it must be, and the most that is looked at.
// An entry of conntrack lives synSent (nf_conntrack_proto_tcp.c: tcp_timeouts)
// after its last SYN; SYNs that go unanswered are repeated after 1, 2, 4, 8 s.
const (
	synSent  = 120_000 // ms
	synRecv  = 60_000  // ms
	triedAge = 30_000  // ms
	unacked  = 300_000 // ms
	maxTried = 16
	perTrier = 4
)

// Ports from which this program's own probes are sent (package probe).
const (
	ownPortFirst = 61000
	ownPortLast  = 65499
)

// tried are the TCP connections that containers and plain namespaces of this
// host try right now and that nobody answers: the sockets that have sent their SYN
// again, and what conntrack holds in state SYN_SENT, in their own namespaces (where
// engines' resolver rules turn it on) and in the host's. What a container does is no proof that it should work: a
// flow that this host stops is kept in only where it looks like an oversight.
func (e *expecter) tried() {
	type try struct {
		from string
		to   netip.AddrPort
		age  int64
		by   *snap.Socket // nil: of conntrack
	}
	var all []try
	for i := range e.in.Snap.Netns {
		ns := &e.in.Snap.Netns[i]
		if ns.Class != snap.ClassHost && ns.Class != snap.ClassContainer && ns.Class != snap.ClassAttached {
			continue
		}
		for k := range ns.Trying {
			s := &ns.Trying[k]
			to := netip.AddrPortFrom(s.Remote.Addr().Unmap(), s.Remote.Port())
			if !OwnPort(s.Local.Port()) && !to.Addr().IsLoopback() && (ns != e.host || e.onMacvlan(to.Addr())) {
				all = append(all, try{ns.ID, to, 0, s})
			}
		}
		for _, c := range ns.Conntrack {
			age := max(synSent-c.TimeoutMs, 0)
			if c.TCPState == "SYN_RECV" {
				age = max(synRecv-c.TimeoutMs, 0)
			}
			if c.Proto != snap.TCP.Number() || !unanswered(ns, &c) || OwnPort(c.Orig.Src.Port()) || age > triedAge {
				continue
			}
			if from := e.sender(ns, &c.Orig); from != "" && !e.younger(from, age) {
				all = append(all, try{from, c.Orig.Dst, age, nil})
			}
		}
	}
	snap.Sort(all, func(a, b try) int {
		return cmp.Or(cmp.Compare(a.age, b.age), cmp.Compare(a.from, b.from), a.to.Compare(b.to))
	})
	count := map[string]int{}
	seen := map[string]bool{}
	for _, t := range all {
		key := t.from + " " + t.to.String()
		if seen[key] || len(seen) >= maxTried || count[t.from] >= perTrier || e.keptApart(t.from, t.to.Addr()) {
			continue
		}
		seen[key] = true
		count[t.from]++
		e.add(FlowCase{
			Kind: "tried", By: t.by, From: e.in.Who(t.from), To: t.to.String() + "/tcp", Because: []snap.Ref{snap.RefNetns(t.from)},
			Flow: sim.Flow{From: t.from, Dst: t.to.Addr(), Proto: snap.TCP, Dport: t.to.Port(), StopOutside: true},
		})
	}
}

// OwnPort says whether this program sends its probes from a port.
func OwnPort(p uint16) bool { return p >= ownPortFirst && p <= ownPortLast }

// unanswered says whether the sender of a TCP connection has no answer, as far
// as the entry tells: none was seen, or one was seen by the host on its way to
// the container, and no ACK has followed. Those are handshakes under way, too:
// it is for the model to say whether the answer gets through.
func unanswered(ns *snap.Netns, c *snap.Conn) bool {
	seen := slices.Contains(c.Status, "seen-reply")
	return c.TCPState == "SYN_SENT" && !seen || c.TCPState == "SYN_RECV" && seen && ns.Class == snap.ClassHost
}

// HeardBeyond says whether this host or somebody on it has, or had a moment ago,
// connections with other destinations that answered, beyond its own wire where the
// flow's destination is; lately says whether that one did answer a moment ago.
func (in *Input) HeardBeyond(f *FlowCase) (others, lately bool) {
	wire := func(to netip.Addr) bool {
		return slices.ContainsFunc(Uplinks(in.Snap), func(l *snap.Link) bool {
			return slices.ContainsFunc(in.Snap.HostNs().AddrsOf(l.Index), func(a snap.Addr) bool { return a.Prefix.Contains(to) })
		})
	}
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if ns.ID != in.Snap.Host.Netns && ns.ID != f.Flow.From {
			continue
		}
		for _, c := range ns.Conntrack {
			to := c.Orig.Dst.Addr()
			switch {
			case !slices.Contains(c.Status, "seen-reply") || to.IsLoopback():
			case to == f.Flow.Dst:
				// An open one that has not been heard of for longer than data may stay
				// unacknowledged tells nothing (nf_conntrack_proto_tcp.c: tcp_timeouts).
				lately = lately || c.Orig.Dst.Port() == f.Flow.Dport && slices.Contains(c.Status, "assured") && c.TimeoutMs <= unacked
			case len(in.Graph.Owners(to))+len(in.Graph.Owners(c.Reply.Src.Addr())) == 0 && (wire(f.Flow.Dst) || !wire(to)):
				others = true
			}
		}
	}
	return others, lately
}

// Keeps says of a connection that is tried whether it is tried again and again: a socket
// waits for it now, or there were two and more of late, and one this very moment.
func (in *Input) Keeps(f *FlowCase) bool {
	const moment = 5_000 // ms
	var ports []uint16
	fresh := false
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if ns != in.Snap.HostNs() && ns.ID != f.Flow.From {
			continue
		}
		for _, c := range ns.Conntrack {
			if c.TCPState != "SYN_SENT" || c.Orig.Dst != netip.AddrPortFrom(f.Flow.Dst, f.Flow.Dport) || OwnPort(c.Orig.Src.Port()) || !unanswered(ns, &c) {
				continue
			}
			fresh = fresh || synSent-c.TimeoutMs <= moment
			if !slices.Contains(ports, c.Orig.Src.Port()) {
				ports = append(ports, c.Orig.Src.Port())
			}
		}
	}
	return f.By != nil || fresh && len(ports) > 1
}

// younger says whether all of a namespace's containers were started since an entry of
// conntrack of some age (ms) was made: it is of somebody who had their address before.
func (e *expecter) younger(netns string, age int64) bool {
	cs := e.in.Graph.ContainersOf(netns)
	at := e.in.Snap.Taken.Start.Add(-time.Duration(age) * time.Millisecond)
	return len(cs) > 0 && !slices.ContainsFunc(cs, func(c *snap.Container) bool { return !c.Started.After(at) })
}

// sender is the namespace that sent a packet which conntrack saw in ns; "" for
// whoever is no namespace of its own, and for the host itself but where it asks for
// a macvlan container of its own.
func (e *expecter) sender(ns *snap.Netns, packet *snap.Tuple) string {
	src := packet.Src.Addr()
	if ns != e.host {
		if _, mine := ns.HasAddr(src); mine && !src.IsLoopback() {
			return ns.ID
		}
		return ""
	}
	if _, mine := ns.HasAddr(src); mine {
		if e.onMacvlan(packet.Dst.Addr()) {
			return ns.ID
		}
		return ""
	}
	for _, o := range e.in.Graph.Owners(src) {
		if o.Netns.Class == snap.ClassContainer || o.Netns.Class == snap.ClassAttached {
			return o.Netns.ID
		}
	}
	return ""
}

// onMacvlan says whether an address is a container's on a macvlan or ipvlan network,
// which the host itself hardly reaches.
func (e *expecter) onMacvlan(ip netip.Addr) bool {
	c := e.in.Graph.ContainerOfAddr(ip)
	return c != nil && slices.ContainsFunc(c.Endpoints, func(ep snap.Endpoint) bool {
		n := e.in.Snap.NetworkOf(c.Engine, &ep)
		return n != nil && (n.Driver == "macvlan" || n.Driver == "ipvlan") && ep.IPv4.Addr() == ip
	})
}

// oversight says of a flow that a container tries and that this host stops
// whether that is hardly meant: a rule that lets the request out and drops the
// answer; a bridge port of the host that keeps frames from the tunnel which the bridge
// was made for; a service of the host that is open to whoever comes in by the uplink,
// while no rule, but a policy alone, keeps the host's own containers out.
func (in *Input) oversight(f *FlowCase) bool {
	w := f.Trace.Where
	host := in.Snap.HostNs()
	if w != nil && host != nil && w.Netns == host.ID && w.Reply && w.Cause == sim.CauseRule {
		// Whether somebody out there answers at all is not known until an answer was seen.
		p := in.Prove(f)
		return !in.apart(f) && (len(in.Graph.Owners(f.Flow.Dst)) > 0 || p != nil && p.Where == w || slices.ContainsFunc(host.Conntrack, func(c snap.Conn) bool {
			return c.Orig.Dst == netip.AddrPortFrom(f.Flow.Dst, f.Flow.Dport) && slices.Contains(c.Status, "seen-reply")
		}))
	}
	if in.shutTunnel(f) || Spent(w) {
		return true
	}
	if w == nil || host == nil || w.Netns != host.ID || w.Cause != sim.CausePolicy || w.Reply {
		return false
	}
	if _, mine := host.HasAddr(f.Flow.Dst); !mine || Listening(host, f.Flow.Dst) == nil {
		return false
	}
	for _, up := range Uplinks(in.Snap) {
		for _, a := range host.AddrsOf(up.Index) {
			ip := a.Prefix.Addr()
			if ip.Is4() != f.Flow.Dst.Is4() || !ip.Is4() {
				continue
			}
			// The farthest of all: what is open to some neighbours only is closed to others by will.
			src := sources(host, up)
			x := FlowCase{Flow: sim.Flow{From: host.ID, Iif: up.Name, Src: src[len(src)-1], Dst: ip, Proto: f.Flow.Proto, Dport: f.Flow.Dport, StopOutside: true}}
			if x.Trace = in.World.Trace(x.Flow); x.Works() {
				return true
			}
		}
	}
	return false
}

// apart says whether a flow goes from a container to one that it shares no network
// with: whatever lets half of it pass, it is not meant to be.
func (in *Input) apart(f *FlowCase) bool {
	from, to := in.Graph.ContainersOf(f.Flow.From), in.Graph.ContainerOfAddr(f.Flow.Dst)
	if len(from) == 0 || to == nil {
		return false
	}
	for i := range from[0].Endpoints {
		for k := range to.Endpoints {
			a, b := in.Snap.NetworkOf(from[0].Engine, &from[0].Endpoints[i]), in.Snap.NetworkOf(to.Engine, &to.Endpoints[k])
			if a != nil && a == b {
				return false
			}
		}
	}
	return true
}

// keptApart says whether the only networks that the sender shares with the container that
// has an address are made in a mode in which members do not reach each other.
func (e *expecter) keptApart(from string, to netip.Addr) bool {
	c := e.in.Graph.ContainerOfAddr(to)
	if c == nil {
		return false
	}
	apart := false
	for _, f := range e.in.Graph.ContainersOf(from) {
		for i := range f.Endpoints {
			n := e.in.Snap.NetworkOf(f.Engine, &f.Endpoints[i])
			for k := range c.Endpoints {
				if n == nil || n != e.in.Snap.NetworkOf(c.Engine, &c.Endpoints[k]) {
					continue
				}
				if !KeptApart(n) {
					return false
				}
				apart = true
			}
		}
	}
	return apart
}

// Tried is the line of ss or of conntrack that shows what a container tries.
func Tried(f *FlowCase) Evidence {
	if s := f.By; s != nil {
		who := f.From
		if s.Process != nil {
			who = fmt.Sprintf("%s (pid %d) in %s", s.Process.Name, s.Process.PID, f.From)
		}
		return Evidence{
			Source: "ss -tnop state syn-sent",
			Text:   fmt.Sprintf("%s waits for %s: its SYN was sent %d times, and nothing came back", who, s.Remote, s.Repeats+1),
			Ref:    snap.RefNetns(f.Flow.From),
		}
	}
	return Evidence{
		Source: "conntrack -L -p tcp --state SYN_SENT",
		Text:   fmt.Sprintf("%s tries it now: SYN_SENT dst=%s dport=%d [UNREPLIED]", f.From, f.Flow.Dst, f.Flow.Dport),
		Ref:    snap.RefNetns(f.Flow.From),
	}
}
