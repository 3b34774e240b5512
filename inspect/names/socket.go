package names

import (
	"net/netip"
	"time"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// listening is who takes questions at an address.
type listening struct {
	sock   *snap.Socket
	ref    snap.Ref
	unread string // why it is not known
}

// listener finds the socket of the namespace that takes a question: the
// one bound to that very address before one bound to all.
func (w *walker) listener(ns *snap.Netns, to netip.AddrPort) listening {
	var l listening
	for i := range ns.Sockets {
		s := &ns.Sockets[i]
		if s.Proto != w.proto() || s.Local.Port() != to.Port() || s.Remote.IsValid() {
			continue
		}
		a := s.Local.Addr().Unmap()
		exact := a == to.Addr()
		any := a.IsUnspecified() && (a.Is4() == to.Addr().Is4() || a.Is6() && !s.V6Only)
		if exact || any && l.sock == nil {
			l.sock, l.ref = s, snap.RefItem(ns.ID, "socket", i)
		}
		if exact {
			break
		}
	}
	if l.sock != nil {
		return l
	}
	if ref, g := w.gap(ns.ID, "socket"); g != nil {
		return listening{ref: ref, unread: "sockets of " + ns.ID + " could not be read: " + g.Why}
	}
	if ns.Light {
		return listening{unread: "sockets of " + ns.ID + " were not read"}
	}
	return l
}

// mapping is what the namespace's nat rules make of a question.
type mapping struct {
	to      netip.AddrPort // zero: nothing maps it
	because []snap.Ref
	place   *rules.Place
	unknown string
}

// dnat runs a local question through the OUTPUT nat chains, as the kernel does
// with the first packet of a connection.
func (w *walker) dnat(ns *snap.Netns, to netip.AddrPort, proto snap.Proto) mapping {
	if ref, g := w.gap(ns.ID, "ruleset", "nft", "iptables", "nat"); g != nil {
		return mapping{unknown: "rules of " + ns.ID + " could not be read: " + g.Why, because: []snap.Ref{ref}}
	}
	if ns.Light {
		return mapping{unknown: "rules of " + ns.ID + " were not read"}
	}
	fam, src := snap.IPv4, netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if to.Addr().Is6() {
		fam, src = snap.IPv6, netip.IPv6Loopback()
	}
	p := rules.Packet{
		Family: fam, Proto: proto.Number(), Src: src, Dst: to.Addr(), Sport: 40000, Dport: to.Port(), TTL: 64, Len: 60,
		Local: &rules.Sender{KnownID: true},
		CT:    rules.CT{State: "new", Orig: snap.Tuple{Src: netip.AddrPortFrom(src, 40000), Dst: to}},
	}
	if lo := ns.Link("lo"); lo != nil {
		p.Oif = lo.Index
	}
	for _, b := range rules.Compile(&ns.Ruleset).BaseChains(fam, "output", "") {
		if b.Type != "nat" {
			continue
		}
		var got *mapping
		for _, br := range b.Run(p, env{ns}) {
			m := mapping{place: br.Place}
			switch {
			case br.Verdict == "unknown":
				m.unknown = br.Unknown
			case br.NAT != nil && !br.NAT.Src:
				m.to = target(to, br.NAT)
				m.because = []snap.Ref{refPlace(ns.ID, br.NAT.Place)}
				at := *br.NAT.Place // the program's own is not to be written to
				at.Ref = m.because[0]
				m.place = &at
			}
			if got != nil && (got.to != m.to || got.unknown != m.unknown) {
				return mapping{unknown: "which nat rule of " + ns.ID + " takes the question depends on what is not known"}
			}
			got = &m
		}
		if got != nil && (got.to.IsValid() || got.unknown != "") {
			return *got
		}
	}
	return mapping{}
}

func target(to netip.AddrPort, n *rules.NAT) netip.AddrPort {
	a, port := n.AddrMin, n.PortMin
	switch {
	case a.IsValid():
	case n.Kind == "redirect" && to.Addr().Is4():
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1}) // net/netfilter/nf_nat_redirect.c: NF_INET_LOCAL_OUT
	case n.Kind == "redirect":
		a = netip.IPv6Loopback()
	default:
		a = to.Addr()
	}
	if port == 0 {
		port = to.Port()
	}
	return netip.AddrPortFrom(a, port)
}

func refPlace(netns string, p *rules.Place) snap.Ref {
	if p.TableP == nil || p.Num == 0 {
		return snap.RefNetns(netns)
	}
	return snap.RefRule(netns, p.TableP, p.Chain, p.Num)
}

// env answers what nat rules may ask about a namespace, as far as a question
// to a loopback address goes; the rest is not known.
type env struct{ ns *snap.Netns }

func (e env) Link(i int) *snap.Link { return e.ns.LinkAt(i) }

func (e env) AddrType(a netip.Addr, dev int) string {
	l, ok := e.ns.HasAddr(a)
	switch {
	case a.IsMulticast():
		return "multicast"
	case ok && (dev == 0 || l != nil && l.Index == dev), !ok && a.IsLoopback() && dev == 0:
		return "local"
	}
	return "" // not looked up here
}

func (e env) FIB(q rules.FIBQuery) (oif int, typ string, ok bool) {
	if !q.Dst.IsLoopback() {
		return 0, "", false
	}
	if lo := e.ns.Link("lo"); lo != nil {
		oif = lo.Index
	}
	return oif, "local", true
}

func (e env) IPSet(name string) *snap.IPSet { return e.ns.IPSet(name) }

func (e env) IPSetAt(index int) *snap.IPSet { return e.ns.IPSetAt(index) }

func (e env) Recent(name string) *snap.RecentList { return e.ns.RecentList(name) }

func (e env) HashLimit(name string, fam snap.Family) *snap.HashLimit {
	return e.ns.HashLimit(name, fam)
}

func (e env) Sysctl(key string) (string, bool) { return e.ns.Sysctl(key) }

func (e env) Socket(*rules.Packet, bool) (found, known bool) { return false, false }

func (e env) Connections(netip.Addr, netip.Addr, bool) (n uint32, known bool) { return 0, false }

func (e env) Queued(uint16) (taken, known bool) { return false, false }

func (e env) DeviceAddr(int, snap.Family) netip.Addr { return netip.Addr{} }

// Now is fixed: the prediction must not depend on when it is made.
func (e env) Now() time.Time { return time.Time{} }
