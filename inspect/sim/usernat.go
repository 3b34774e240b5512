package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// userLeg goes on where a packet leaves by a device whose reader carries it on by sockets
// of its own (snap.Process.UserNAT): from there on the way is that program's, in the
// namespace where it lives, and the verdict with it.
func (w *World) userLeg(t *Trace, depth int) {
	n := w.ns[t.LeftNetns]
	if t.Where == nil || t.Where.Cause != CauseOutside || t.IfAnswered != Delivered || n == nil || t.LeftNetns != t.Where.Netns {
		return
	}
	dev := n.byName[t.LeftHost]
	if dev == nil || !dev.Reader.UserNAT() || w.ns[dev.Reader.Netns] == nil || dev.Reader.Netns == n.n.ID {
		return
	}
	p := dev.Reader
	who := p.Who()
	stop := func(what, reason string, ref snap.Ref) {
		t.Verdict, t.IfAnswered, t.Unknown = Dropped, "", nil
		t.Where = &Where{Netns: n.n.ID, Device: dev.Name, Layer: "socket", Cause: CauseUserNAT, Reason: reason, Ref: ref, Detail: who + ", which reads " + dev.Name + ", " + what}
		t.carried(p.Netns, "user-mode NAT", t.Where.Detail, "drop", ref)
	}
	own := snap.RefLink(n.n.ID, dev.Name)
	dst, why := walk.UserDst(w.snap, n.n, dev, t.ExitDst)
	switch {
	case why != "":
		stop(why, "", own)
		return
	case !dst.IsValid():
		return
	case p.Name == "slirp4netns" && !onNet(n.n, dev, t.ExitSrc.Addr()):
		// libslirp src/slirp.c: if_encap4 looks for the MAC of whom it answers, by ARP.
		stop(fmt.Sprintf("sends its answers to %s, an address outside of its network, which nobody has there: it was not masqueraded", t.ExitSrc.Addr()), "", own)
		return
	}
	if t.Flow.Proto == snap.ICMP || t.Flow.Proto == snap.ICMPv6 {
		text, may, ok := walk.PingGroups(w.ns[p.Netns].n, p)
		if !ok {
			return
		}
		if !may {
			stop("may not send echo requests: net.ipv4.ping_group_range="+text+" of "+p.Netns+" has none of its groups", "EACCES", snap.RefSysctl(p.Netns, "net/ipv4/ping_group_range"))
			return
		}
	}
	leg := w.traceDepth(Flow{From: p.Netns, Dst: dst.Addr(), Dport: dst.Port(), Proto: t.Flow.Proto, UID: p.UID, StopOutside: t.Flow.StopOutside}, depth+1)
	t.carried(p.Netns, p.Name, fmt.Sprintf("takes it from %s of %s and connects itself (pid %d)", dev.Name, n.n.ID, p.PID), "ok", own)
	t.Forward, t.Reply = append(t.Forward, leg.Forward...), append(slices.Clone(leg.Reply), t.Reply...)
	t.Relay, t.Routes = leg, append(t.Routes, leg.Routes...)
	t.Verdict, t.Where, t.Unknown, t.IfAnswered = leg.Verdict, leg.Where, leg.Unknown, leg.IfAnswered
	t.Arrived, t.ArrivedAs, t.Socket = leg.Arrived, leg.ArrivedAs, leg.Socket
	t.LeftHost, t.LeftNetns, t.ExitSrc, t.ExitDst = leg.LeftHost, leg.LeftNetns, leg.ExitSrc, leg.ExitDst
}

// onNet says whether an address is in a network of a device.
func onNet(n *snap.Netns, dev *snap.Link, a netip.Addr) bool {
	return slices.ContainsFunc(n.AddrsOf(dev.Index), func(x snap.Addr) bool { return x.Prefix.Contains(a) })
}

// carried adds what a program did with the packet.
func (t *Trace) carried(netns, stage, did, verdict string, ref snap.Ref) {
	h := Hop{Netns: netns, Stage: stage, Did: did, Verdict: verdict, Proto: t.Flow.Proto, Because: []snap.Ref{ref}}
	if n := len(t.Forward); n > 0 {
		h.Src, h.Dst = t.Forward[n-1].Src, t.Forward[n-1].Dst
	}
	t.Forward = append(t.Forward, h)
}

// stoppedReader is where a packet ends that nobody reads.
func stoppedReader(n *netns, dev *snap.Link) Where {
	return Where{
		Layer: "link", Cause: CauseUserNAT, Reason: "STOPPED", Ref: snap.RefLink(n.n.ID, dev.Name),
		Detail: dev.Reader.Who() + ", which reads " + dev.Name + ", is stopped",
	}
}

// forwardedLeg follows what a user's own forwarder takes at a published port into the
// container: rootlessport connects from within its namespace, slirp4netns from its own
// side of the tap device, pasta with the sender's address or, for the host itself, from
// within (podman cmd/rootlessport; slirp4netns(1), passt(1)).
func (w *World) forwardedLeg(t *Trace, depth int) {
	p := t.Socket.Process
	if p.Name != "rootlessport" && p.Name != "rootlesskit" && !p.UserNAT() {
		return
	}
	c, port := walk.ForwardsTo(w.snap, t.Socket)
	if c == nil || w.ns[c.Netns] == nil {
		return
	}
	if snap.IsDocker(c.Engine) {
		w.kitLeg(t, c, depth)
		return
	}
	n := w.ns[c.Netns]
	leg := Flow{From: c.Netns, Dport: port, Proto: t.Flow.Proto, StopOutside: t.Flow.StopOutside}
	dev := n.n.UserNAT()
	for i := range c.Endpoints {
		if leg.Dst = c.Endpoints[i].IPv4.Addr(); leg.Dst.IsValid() {
			break
		}
	}
	for _, a := range n.n.Addrs {
		if dev != nil && a.Index == dev.Index && a.Prefix.Addr().Is4() && !leg.Dst.IsValid() {
			leg.Dst = a.Prefix.Addr()
		}
	}
	if !leg.Dst.IsValid() {
		t.unknown(Where{Netns: c.Netns, Layer: "socket", Cause: CauseModel, Detail: fmt.Sprintf("where %s leads is not known: %s has no address", p.Name, c.Name)})
		return
	}
	_, mine := w.ns[t.Arrived].n.HasAddr(t.Flow.Src)
	if p.Name != "rootlessport" && dev == nil {
		return
	}
	switch {
	case p.Name == "slirp4netns":
		leg.Iif, leg.Src = dev.Name, leg.Dst
		for _, a := range n.n.AddrsOf(dev.Index) {
			if a.Prefix.Contains(leg.Dst) {
				leg.Src = a.Prefix.Masked().Addr().Next().Next()
			}
		}
	case p.Name != "rootlessport" && t.Flow.Src.Is4() && t.Flow.Iif != "" && !mine:
		leg.Iif, leg.Src = dev.Name, t.Flow.Src
	}
	t.Proxy = w.traceDepth(leg, depth+1)
	if p.UserNAT() && leg.Iif == "" { // by lo, with older ones to 127.0.0.1
		leg.Dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if other := w.traceDepth(leg, depth+1); other.Verdict != t.Proxy.Verdict {
			t.unknown(Where{Netns: c.Netns, Layer: "socket", Cause: CauseModel, Detail: fmt.Sprintf("whether %s hands what comes from the host itself to 127.0.0.1 of %s depends on its version", p.Name, c.Name)})
			t.Proxy = nil
			return
		}
	}
	t.carried(c.Netns, p.Name, fmt.Sprintf("connects to %s of %s itself (pid %d)", addrPort(t.Proxy.Flow.Dst, port), c.Name, p.PID), "ok", snap.RefContainer(c.Ref))
	t.Forward = append(t.Forward, t.Proxy.Forward...)
	t.Verdict, t.Where, t.IfAnswered = t.Proxy.Verdict, t.Proxy.Where, t.Proxy.IfAnswered
	t.Unknown = append(t.Unknown, t.Proxy.Unknown...)
}

// kitLeg follows what RootlessKit takes at a port that a user's dockerd publishes: its child
// in dockerd's own namespace connects to the same port of loopback, where docker-proxy
// listens (rootlesskit pkg/port/builtin/child; moby cmd/rootlesskit-docker-proxy).
func (w *World) kitLeg(t *Trace, c *snap.Container, depth int) {
	p := t.Socket.Process
	var own *netns
	for i := range w.ns[c.Netns].n.Links {
		if n := w.ns[w.ns[c.Netns].n.Links[i].PeerNetns]; n != nil {
			own = n
		}
	}
	if own == nil || p.Name != "rootlesskit" {
		t.unknown(Where{Netns: c.Netns, Layer: "socket", Cause: CauseModel, Detail: fmt.Sprintf("where %s leads is not known", p.Name)})
		return
	}
	leg := Flow{From: own.n.ID, Dst: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Dport: t.Socket.Local.Port(), Proto: t.Flow.Proto, StopOutside: t.Flow.StopOutside}
	if t.Flow.Dst.Is6() {
		leg.Dst = netip.IPv6Loopback()
	}
	first := w.traceDepth(leg, depth+1)
	t.carried(own.n.ID, p.Name, fmt.Sprintf("connects to %s of %s itself (pid %d)", addrPort(leg.Dst, leg.Dport), own.n.ID, p.PID), "ok", snap.RefNetns(own.n.ID))
	t.Forward = append(t.Forward, first.Forward...)
	if t.Proxy = first; first.Proxy != nil { // to the container, by docker-proxy
		t.Proxy = first.Proxy
		t.carried(own.n.ID, "docker-proxy", fmt.Sprintf("connects to %s of %s itself (pid %d)", addrPort(t.Proxy.Flow.Dst, t.Proxy.Flow.Dport), c.Name, first.Socket.Process.PID), "ok", snap.RefContainer(c.Ref))
		t.Forward = append(t.Forward, first.Proxy.Forward...)
	}
	t.Verdict, t.Where, t.IfAnswered = first.Verdict, first.Where, first.IfAnswered
	t.Unknown = append(t.Unknown, first.Unknown...)
}
