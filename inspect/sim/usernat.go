package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
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
	who := fmt.Sprintf("%s (pid %d)", p.Name, p.PID)
	stop := func(what, reason string, ref snap.Ref) {
		h := t.Forward[len(t.Forward)-1]
		t.Verdict, t.IfAnswered, t.Unknown = Dropped, "", nil
		t.Where = &Where{Netns: n.n.ID, Device: dev.Name, Layer: "socket", Cause: CauseUserNAT, Reason: reason, Ref: ref, Detail: who + ", which reads " + dev.Name + ", " + what}
		t.Forward = append(t.Forward, Hop{Netns: p.Netns, Stage: "user-mode NAT", Did: t.Where.Detail, Verdict: "drop", Src: h.Src, Dst: h.Dst, Proto: t.Flow.Proto, Because: []snap.Ref{ref}})
	}
	own := snap.RefLink(n.n.ID, dev.Name)
	dst, why := w.userDst(n, dev, t)
	switch {
	case why != "":
		stop(why, "", own)
		return
	case !dst.IsValid():
		return
	}
	if t.Flow.Proto == snap.ICMP || t.Flow.Proto == snap.ICMPv6 {
		if lo, hi, ok := pingGroups(w.ns[p.Netns].n); !ok || len(p.Groups) == 0 {
			return
		} else if !slices.ContainsFunc(p.Groups, func(g int) bool { return lo <= g && g <= hi }) {
			key := "net/ipv4/ping_group_range"
			stop(fmt.Sprintf("may not send echo requests: net.ipv4.ping_group_range=%d %d of %s has none of its groups", lo, hi, p.Netns), "EACCES", snap.RefSysctl(p.Netns, key))
			return
		}
	}
	leg := w.traceDepth(Flow{From: p.Netns, Dst: dst.Addr(), Dport: dst.Port(), Proto: t.Flow.Proto, UID: p.UID, StopOutside: t.Flow.StopOutside}, depth+1)
	t.Forward = append(t.Forward, Hop{
		Netns: p.Netns, Stage: p.Name, Did: fmt.Sprintf("takes it from %s of %s and connects itself (pid %d)", dev.Name, n.n.ID, p.PID), Verdict: "ok",
		Src: t.Forward[len(t.Forward)-1].Src, Dst: dst, Proto: t.Flow.Proto, Because: []snap.Ref{own},
	})
	t.Forward, t.Reply = append(t.Forward, leg.Forward...), append(slices.Clone(leg.Reply), t.Reply...)
	t.Relay, t.Routes = leg, append(t.Routes, leg.Routes...)
	t.Verdict, t.Where, t.Unknown, t.IfAnswered = leg.Verdict, leg.Where, leg.Unknown, leg.IfAnswered
	t.Arrived, t.ArrivedAs, t.Socket = leg.Arrived, leg.ArrivedAs, leg.Socket
	t.LeftHost, t.LeftNetns, t.ExitSrc, t.ExitDst = leg.LeftHost, leg.LeftNetns, leg.ExitSrc, leg.ExitDst
}

// stoppedReader is where a packet ends that nobody reads.
func stoppedReader(n *netns, dev *snap.Link) Where {
	return Where{
		Layer: "link", Cause: CauseUserNAT, Reason: "STOPPED", Ref: snap.RefLink(n.n.ID, dev.Name),
		Detail: fmt.Sprintf("%s (pid %d), which reads %s, is stopped", dev.Reader.Name, dev.Reader.PID, dev.Name),
	}
}

// userDst is where the program connects to for what left by its device; invalid when
// that is not known, with why when it goes nowhere.
func (w *World) userDst(n *netns, dev *snap.Link, t *Trace) (to netip.AddrPort, why string) {
	p, at := dev.Reader, t.ExitDst
	is := func(option string) bool {
		v, _ := p.Arg(option)
		a, err := netip.ParseAddr(v)
		return err == nil && a == at.Addr()
	}
	here := func(a netip.Addr) (netip.AddrPort, string) { return netip.AddrPortFrom(a, at.Port()), "" }
	loop := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if at.Addr().Is6() {
		loop = netip.IPv6Loopback()
	}
	if p.Name == "slirp4netns" {
		net, host := netip.Addr{}, uint64(0)
		for _, a := range n.n.AddrsOf(dev.Index) { // 10.0.2.0/24 or --cidr, fd00::/64
			if a.Prefix.Contains(at.Addr()) {
				net, host = a.Prefix.Masked().Addr(), lowBits(at.Addr(), a.Prefix.Bits())
			}
		}
		_, alone := p.Arg("--disable-host-loopback")
		_, mute := p.Arg("--disable-dns")
		switch {
		case !net.IsValid():
			return at, ""
		case host == 3 && at.Port() == 53 && !mute:
			return w.hostServer(at)
		case host == 2 && t.Flow.Dport == 0, host == 3:
			return netip.AddrPort{}, "" // it answers itself
		case host == 2 && alone:
			return netip.AddrPort{}, fmt.Sprintf("was started with --disable-host-loopback: %s does not lead to the host", at.Addr())
		case host == 2:
			return here(loop)
		}
		return netip.AddrPort{}, fmt.Sprintf("has nobody at %s: its network is its own", at.Addr())
	}
	_, noGateway := p.Arg("--no-map-gw")
	_, mapped := p.Arg("--map-host-loopback")
	switch {
	case is("--dns-forward") && at.Port() == 53:
		return w.hostServer(at)
	case is("--map-guest-addr"):
		for _, a := range n.n.AddrsOf(dev.Index) {
			if a.Prefix.Addr().Is4() == at.Addr().Is4() && !a.Prefix.Addr().IsLinkLocalUnicast() {
				return here(a.Prefix.Addr())
			}
		}
		return netip.AddrPort{}, ""
	case is("--map-host-loopback"):
		return here(loop)
	case !noGateway && !mapped && slices.ContainsFunc(n.n.Routes, func(r snap.Route) bool { return r.Dst.Bits() == 0 && r.Gateway == at.Addr() }):
		return here(loop)
	}
	return at, ""
}

// lowBits are the bits of an address behind its network, as far as they fit.
func lowBits(a netip.Addr, bits int) (n uint64) {
	b := a.AsSlice()
	for i, x := range b {
		if keep := bits - 8*i; keep < 8 {
			n = n<<8 | uint64(x&byte(0xff>>max(keep, 0)))
		}
	}
	return n
}

// hostServer is the host's first name server of the family, to which the program hands
// questions on; as far as the host's own file tells.
func (w *World) hostServer(at netip.AddrPort) (netip.AddrPort, string) {
	if r := w.snap.Resolver("host"); r != nil {
		for _, a := range r.ResolvConf.Nameservers {
			if a.Is4() == at.Addr().Is4() {
				return netip.AddrPortFrom(a, at.Port()), ""
			}
		}
	}
	return netip.AddrPort{}, ""
}

// pingGroups are the groups that may send echo requests without privilege (icmp(7)).
func pingGroups(n *snap.Netns) (lo, hi int, ok bool) {
	v, _ := n.Sysctl("net/ipv4/ping_group_range")
	f := strings.Fields(v)
	if len(f) != 2 {
		return 0, 0, false
	}
	lo, err := strconv.Atoi(f[0])
	hi, err2 := strconv.Atoi(f[1])
	return lo, hi, cmp.Or(err, err2) == nil
}

// forwardedLeg follows what a user's own forwarder takes at a published port into the
// container: rootlessport connects from within its namespace, slirp4netns from its own
// side of the tap device, pasta with the sender's address or, for the host itself, from
// within (podman cmd/rootlessport; slirp4netns(1), passt(1)).
func (w *World) forwardedLeg(t *Trace, depth int) {
	p := t.Socket.Process
	if p.Name != "rootlessport" && !p.UserNAT() {
		return
	}
	c, port := w.forwardsTo(t.Socket)
	if c == nil || w.ns[c.Netns] == nil {
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
	t.Forward = append(t.Forward, Hop{
		Netns: c.Netns, Stage: p.Name, Did: fmt.Sprintf("connects to %s of %s itself (pid %d)", addrPort(t.Proxy.Flow.Dst, port), c.Name, p.PID), Verdict: "ok",
		Dst: netip.AddrPortFrom(t.Proxy.Flow.Dst, port), Proto: t.Flow.Proto, Because: []snap.Ref{snap.RefContainer(c.Ref)},
	})
	t.Forward = append(t.Forward, t.Proxy.Forward...)
	t.Verdict, t.Where, t.IfAnswered = t.Proxy.Verdict, t.Proxy.Where, t.Proxy.IfAnswered
	t.Unknown = append(t.Unknown, t.Proxy.Unknown...)
}

// forwardsTo is the container of a user's own engine that publishes the port at which a
// socket is, and its port there; nil where several do, or none.
func (w *World) forwardsTo(s *snap.Socket) (found *snap.Container, port uint16) {
	at := s.Local.Addr().Unmap()
	for i := range w.snap.Containers {
		c := &w.snap.Containers[i]
		if e := w.snap.Engine(c.Engine); e == nil || !e.Rootless || !c.Running() {
			continue
		}
		for _, p := range c.Ports {
			if p.Proto != s.Proto || p.HostPort != s.Local.Port() || !at.IsUnspecified() && !p.HostIP.IsUnspecified() && p.HostIP != at {
				continue
			}
			if found != nil && found != c {
				return nil, 0
			}
			found, port = c, p.ContainerPort
		}
	}
	return found, port
}
