package sim

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// respond is the transport layer of the destination: the packet that it
// answers with and the verdict if that gets back; a nil packet when there is
// no answer. Where tells why, for all but Delivered.
func (r *run) respond(t *Trace, end *fate) (Verdict, *skb, *Where) {
	n, k := end.ns, &end.pkt
	if k.route != nil && k.route.kind == "broadcast" || k.PktType == "broadcast" || k.PktType == "multicast" {
		return r.respondGroup(t, n, k)
	}
	if k.isEcho() {
		return r.respondEcho(n, end.dev, k)
	}
	if k.Dport == 0 {
		return Unknown, nil, &Where{Cause: CauseModel, Detail: "how " + n.n.ID + " answers this protocol is not followed"}
	}
	if why := n.gap("sockets"); why != "" && len(n.n.Sockets) == 0 {
		return Unknown, nil, &Where{Cause: CauseUnread, Detail: why}
	}
	s := n.socketFor(k, end.dev)
	if s == nil {
		w := &Where{Cause: CauseNoListener, Reason: "NO_SOCKET", Detail: fmt.Sprintf("nothing in %s listens on %s/%s", n.n.ID, k.dest(), protoName(k.Proto))}
		r.hop(n, end.dev, "socket", w.Detail, "refused", k)
		return Refused, r.refusal(k), w
	}
	t.Socket = s
	ref := n.socketRef(s)
	who := ""
	if s.Process != nil {
		who = fmt.Sprintf(" (%s, pid %d)", s.Process.Name, s.Process.PID)
	}
	switch {
	case k.Proto == snap.IPProtoTCP && s.Queue > s.Backlog: // listen(2) with 0 holds one
		return Dropped, nil, &Where{Cause: CauseNoAnswer, Ref: ref, Detail: fmt.Sprintf("the listener on %s%s has its queue full: %d of %d", s.Local, who, s.Queue, s.Backlog)}
	case k.Proto == snap.IPProtoUDP && s.Process != nil && (s.Process.State == "T" || s.Process.State == "t"):
		return Dropped, nil, &Where{Cause: CauseNoAnswer, Ref: ref, Detail: "the process of " + s.Local.String() + who + " is stopped"}
	}
	k.group = s.Cgroup
	if stop := r.cgroup(n, end.dev, k, cgroupIngress, k.Src); stop != nil {
		w := stop.where
		w.Ref = ref
		return stop.verdict(), nil, &w
	}
	r.hop(n, end.dev, "socket", fmt.Sprintf("%s/%s%s", s.Local, s.Proto, who), "delivered", k, ref)
	return Delivered, r.answerOf(n, k, s), nil
}

// respondEcho is icmp_echo (net/ipv4/icmp.c).
func (r *run) respondEcho(n *netns, dev *snap.Link, k *skb) (Verdict, *skb, *Where) {
	key := "net/ipv4/icmp_echo_ignore_all"
	if k.Family == snap.IPv6 {
		key = "net/ipv6/icmp/echo_ignore_all"
	}
	if n.sysctl(key, 0) != 0 {
		return Dropped, nil, &Where{Cause: CauseNoAnswer, Ref: snap.RefSysctl(n.n.ID, key), Detail: "icmp_echo_ignore_all=1 in " + n.n.ID}
	}
	r.hop(n, dev, "icmp", n.n.ID+" answers the echo", "delivered", k)
	a := r.answerTo(k)
	if n.sysctl("net/ipv4/fwmark_reflect", 0) != 0 {
		a.Mark = k.Mark
	}
	return Delivered, a, nil
}

// answerOf is a socket's answer to a packet; a nil socket is of nobody that is known.
func (r *run) answerOf(n *netns, k *skb, s *snap.Socket) *skb {
	a := r.answerTo(k)
	if s != nil {
		a.group = s.Cgroup
	}
	if k.Proto == snap.IPProtoTCP && n.sysctl("net/ipv4/tcp_fwmark_accept", 0) != 0 {
		a.Mark = k.Mark
	}
	return a
}

// respondGroup is for packets to broadcast and multicast addresses: only a
// bound UDP socket takes them, and nobody refuses them.
func (r *run) respondGroup(t *Trace, n *netns, k *skb) (Verdict, *skb, *Where) {
	if k.Proto == snap.IPProtoUDP {
		if s := n.socketFor(k, nil); s != nil {
			t.Socket = s
			r.hop(n, nil, "socket", fmt.Sprintf("%s/%s", s.Local, s.Proto), "delivered", k, n.socketRef(s))
			a := r.answerTo(k)
			a.Src = netip.Addr{}
			return Delivered, a, nil
		}
	}
	if k.isEcho() && n.sysctl("net/ipv4/icmp_echo_ignore_broadcasts", 1) == 0 {
		a := r.answerTo(k)
		a.Src = netip.Addr{}
		return Delivered, a, nil
	}
	return Dropped, nil, &Where{Cause: CauseNoAnswer, Detail: "nothing in " + n.n.ID + " answers packets to " + k.Dst.String()}
}

// socketRef points at a socket of the namespace.
func (n *netns) socketRef(s *snap.Socket) snap.Ref {
	for i := range n.n.Sockets {
		if &n.n.Sockets[i] == s {
			return snap.RefItem(n.n.ID, "socket", i)
		}
	}
	return ""
}

// proxyLeg follows the second half of a connection that ends at docker-proxy:
// the one that the proxy makes to the container. The verdict is then that one's.
func (w *World) proxyLeg(t *Trace, depth int) {
	if t.Socket == nil || t.Socket.Process == nil {
		return
	}
	dst, ok := proxyTarget(t.Socket.Process)
	if !ok {
		dst, ok = w.ownTarget(t.Socket)
	}
	if !ok {
		w.forwardedLeg(t, depth)
		return
	}
	leg := Flow{From: t.Arrived, Dst: dst.Addr(), Dport: dst.Port(), Proto: t.Flow.Proto, StopOutside: t.Flow.StopOutside}
	t.Proxy = w.traceDepth(leg, depth+1)
	t.Verdict = t.Proxy.Verdict
	if t.Verdict == Refused && t.Flow.Proto == snap.UDP {
		// The proxy is told that nobody listens there, and tells nobody: it reads on
		// (moby cmd/docker-proxy/udp_proxy_linux.go: replyLoop).
		t.Verdict = Dropped
	}
	t.Where = t.Proxy.Where
	t.Unknown = append(t.Unknown, t.Proxy.Unknown...)
	t.IfAnswered = t.Proxy.IfAnswered
}

// ownTarget is where the helper of networks of our own leads a connection: it
// listens on the published ports itself, one process for all of them, so that
// what is published tells where each goes (testenv/proxy_linux.go).
func (w *World) ownTarget(s *snap.Socket) (netip.AddrPort, bool) {
	for i := range w.snap.Containers {
		c := &w.snap.Containers[i]
		e := w.snap.Engine(c.Engine)
		if e == nil || e.Rules != "netdoctor" || !e.UserlandProxy || e.PID != s.Process.PID || e.PID == 0 && s.Process.Name != "netdoctor" || len(c.Endpoints) == 0 || !c.Running() {
			continue
		}
		to := c.Endpoints[0].IPv4.Addr()
		if !to.IsValid() {
			to = c.Endpoints[0].IPv6.Addr()
		}
		for _, p := range c.Ports {
			at := s.Local.Addr().Unmap()
			if p.Proto == s.Proto && p.HostPort == s.Local.Port() && (!p.HostIP.IsValid() || p.HostIP.IsUnspecified() || p.HostIP == at) && to.IsValid() {
				return netip.AddrPortFrom(to, p.ContainerPort), true
			}
		}
	}
	return netip.AddrPort{}, false
}

// proxyTarget reads docker-proxy's command line
// (moby cmd/docker-proxy/main_linux.go).
func proxyTarget(p *snap.Process) (netip.AddrPort, bool) {
	if p.Name != "docker-proxy" && (len(p.Args) == 0 || path.Base(p.Args[0]) != "docker-proxy") {
		return netip.AddrPort{}, false
	}
	var ip netip.Addr
	var port uint64
	for i, a := range p.Args {
		name, val, has := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if !has && i+1 < len(p.Args) {
			val = p.Args[i+1]
		}
		switch name {
		case "container-ip":
			ip, _ = netip.ParseAddr(val)
		case "container-port":
			port, _ = strconv.ParseUint(val, 10, 16)
		}
	}
	return netip.AddrPortFrom(ip, uint16(port)), ip.IsValid() && port != 0
}

// accepted says what the answer's end means for the sender: v if it reached the
// very socket that asked.
func (r *run) accepted(f Flow, end *fate, v Verdict) (Verdict, *Where) {
	if end == nil {
		return Unknown, &Where{Netns: f.From, Cause: CauseModel, Reply: true, Detail: "the answer got lost in this program"}
	}
	k := &end.pkt
	got := k.tuple().invert()
	if k.inner != nil {
		got = *k.inner
	}
	w := end.where
	switch end.kind {
	case fateUnknown:
		return Unknown, &w
	case fateOutside:
		switch {
		case f.Iif == "" || k.inner != nil && got != r.sent:
		case got != r.sent:
			w.Layer, w.Cause, w.Reply, w.Foreign = "socket", CauseNoListener, true, true
			w.Detail = r.foreignAnswer(f, got)
			r.hop(end.ns, end.dev, "leave", w.Detail, "drop", k)
			return Dropped, &w
		case end.ns.n.ID == f.From && end.dev.Name == f.Iif:
			return v, nil
		default:
			w.Detail = "the answer leaves by " + end.dev.Name + " of " + end.ns.n.ID + ", the question came in by " + f.Iif
		}
		return Unknown, &w
	case fateArrived:
		// Outside the snapshot's senders, whoever holds the source is the sender.
		if got == r.sent && (end.ns.n.ID == f.From || f.Iif != "") {
			k.group = r.group
			if stop := r.cgroup(end.ns, end.dev, k, cgroupIngress, k.Src); stop != nil && k.inner == nil {
				w = stop.where
				return stop.verdict(), &w
			}
			return v, nil
		}
		w = Where{Netns: end.ns.n.ID, Layer: "socket", Cause: CauseNoListener, Reason: "NO_SOCKET", Reply: true}
		if end.dev != nil {
			w.Device = end.dev.Name
		}
		switch {
		case end.ns.n.ID != f.From && f.Iif == "":
			w.Detail = "the answer goes to " + end.ns.n.ID + ", which did not ask"
		default:
			w.Foreign, w.Detail = true, r.foreignAnswer(f, got)
		}
		r.hop(end.ns, end.dev, "socket", w.Detail, "drop", k)
		return Dropped, &w
	}
	return Dropped, &w
}

// foreignAnswer says that an answer is not to what was asked: its sender's stack knows
// no connection with that address. got is the answer, turned round.
func (r *run) foreignAnswer(f Flow, got tuple) string {
	who := f.From
	if f.Iif != "" {
		who = f.Src.String()
	}
	return fmt.Sprintf("the answer comes from %s to %s, but %s asked %s from %s", addrPort(got.dst, got.dport), addrPort(got.src, got.sport),
		who, addrPort(r.sent.dst, r.sent.dport), addrPort(r.sent.src, r.sent.sport))
}

func addrPort(a netip.Addr, p uint16) string { return netip.AddrPortFrom(a, p).String() }
