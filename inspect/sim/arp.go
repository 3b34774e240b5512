package sim

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ask puts the question for ip's MAC on dev and gives all answers, what was
// lost on the way, and where the question left the snapshot. The lists are not
// to be written to. It is idle when the asker has an entry to go by.
func (r *run) ask(n *netns, dev *snap.Link, ip netip.Addr, k *skb, idle bool) (got []arpAnswer, lost []lostCopy, out []end) {
	defer func(was bool) { r.idle = was }(r.idle)
	r.idle = idle
	if idle { // it is put in thought only: bridges learn nothing by it
		defer func(was map[runFDB]int) { r.fdb = was }(maps.Clone(r.fdb))
	}
	q := question{dev.Index, ip, n.askAs(dev, ip, k), r.stopOutside}
	a := r.recall(n, q)
	if a == nil {
		a = r.put(n, dev, q)
	}
	if len(a.lost) > 0 {
		lost = slices.Clone(a.lost)
		for i := range lost {
			lost[i].where.Reply = r.reply
		}
	}
	return a.got, lost, a.out
}

// put puts a question to everybody whom it reaches.
func (r *run) put(n *netns, dev *snap.Link, q question) *asked {
	r.spoil() // a question within a question
	a, outer := &asked{open: len(r.order) > 0 || r.asking != nil}, r.asking
	answers, lost, out, steps := r.answers, r.arpLost, r.arpOut, r.steps
	r.answers, r.arpLost, r.arpOut, r.asking = nil, nil, nil, a
	r.quiet++
	m := &arpMsg{tip: q.ip, sip: q.sip, sha: dev.MAC}
	k := r.packets.new()
	k.arp, k.SrcMAC, k.DstMAC, k.Dst = m, dev.MAC, macBroadcast, q.ip
	k.Src = m.sip
	if !k.Src.IsValid() {
		k.Src = netip.IPv4Unspecified()
	}
	if q.ip.Is4() {
		k.Family, k.EtherType, k.ARPOp, k.Len = snap.ARP, 0x0806, 1, 28
	} else {
		k.nd(135, solicited(q.ip))
		k.DstMAC = multicastMAC(k.Dst)
	}
	r.lose(r.arpSend(n, dev, k))
	r.hearOutside(n, dev, q, k.Family)
	r.quiet--
	a.got, a.lost, a.out, a.steps = r.answers, r.arpLost, r.arpOut, r.steps-steps
	snap.Sort(a.got, func(x, y arpAnswer) int { return strings.Compare(x.mac, y.mac) })
	a.got = slices.CompactFunc(a.got, func(x, y arpAnswer) bool { return x.mac == y.mac })
	r.answers, r.arpLost, r.arpOut, r.asking = answers, lost, out, outer
	n.keep(q, a)
	return a
}

// hearOutside has an answer from beyond the snapshot come in by the device: where this
// namespace's own rules stop whatever answer comes, nobody out there is to be had.
func (r *run) hearOutside(n *netns, dev *snap.Link, q question, fam snap.Family) {
	if r.idle || len(r.arpOut) == 0 || !q.sip.IsValid() {
		return
	}
	a := r.packets.new()
	a.arp = &arpMsg{reply: true, sip: q.ip, tip: q.sip, sha: macElsewhere, holder: n, dev: dev}
	if a.nd(136, q.sip); fam == snap.ARP {
		a.Family, a.EtherType, a.ARPOp, a.Len = snap.ARP, 0x0806, 2, 28
	}
	a.SrcMAC, a.DstMAC, a.Src = macElsewhere, dev.MAC, q.ip
	answers := r.answers
	if f := r.receive(n, dev, a); f != nil && f.kind == fateDropped {
		r.lose(f)
		r.arpOut = nil
	}
	r.answers = answers
}

// lose keeps what became of a copy of a question or answer.
func (r *run) lose(f *fate) {
	if f == nil {
		return
	}
	switch f.kind {
	case fateOutside:
		r.arpOut = append(r.arpOut, end{f.ns, f.dev})
	case fateDropped, fateUnknown:
		c := lostCopy{kind: f.kind, where: f.where, ns: f.ns, dev: f.dev, bridged: f.pkt.brIn != nil}
		if m := f.pkt.arp; m != nil {
			c.question, c.reply = !m.reply, m.reply
		}
		r.arpLost = append(r.arpLost, c)
	}
}

// askAs is the source of a question: the packet's own if it is ours
// (arp_solicit with arp_announce 0), else an address of the device.
func (n *netns) askAs(dev *snap.Link, ip netip.Addr, k *skb) netip.Addr {
	if ip.Is6() {
		for _, i := range n.addrOf[dev.Index] {
			a := &n.n.Addrs[i]
			if x := a.Prefix.Addr(); x.Is6() && addrUsable(a) && (x == k.Src || x.IsLinkLocalUnicast()) {
				return x
			}
		}
		return n.selectAddr6(dev, ip)
	}
	announce := n.confMax(dev, "arp_announce")
	own := k.Src.Is4() && n.addrType(k.Src, 0) == "local"
	if announce == 0 && own {
		return k.Src
	}
	if announce == 1 && own {
		for _, i := range n.addr4(dev) {
			if a := &n.n.Addrs[i]; onSubnet(a, ip) && onSubnet(a, k.Src) {
				return k.Src
			}
		}
	}
	return n.selectAddr(dev, ip, scopeNo("link"))
}

// solicited is the solicited-node group of an address (RFC 4291 section 2.7.1).
func solicited(ip netip.Addr) netip.Addr {
	b := ip.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// nd makes the packet a neighbour discovery message (RFC 4861).
func (k *skb) nd(typ uint8, dst netip.Addr) {
	k.Family, k.EtherType, k.Proto, k.ICMPType, k.Dst = snap.IPv6, 0x86dd, snap.IPProtoICMPv6, typ, dst
	k.TTL, k.Len = 255, 72
}

// arpSend hands a question or an answer to the device: NF_ARP_OUT, or
// OUTPUT and POSTROUTING for IPv6.
func (r *run) arpSend(n *netns, dev *snap.Link, k *skb) *fate {
	if k.Family == snap.ARP {
		if f := r.arpHook(n, dev, "output", k); f != nil {
			return f
		}
		return r.xmit(n, dev, k)
	}
	for _, h := range []string{"output", "postrouting"} {
		if f := r.nf(n, h, 0, dev.Index, k); f != nil {
			return f
		}
	}
	return r.xmit(n, dev, k)
}

func (r *run) arpHook(n *netns, dev *snap.Link, hook string, k *skb) *fate {
	h := &hookState{hook: hook, in: dev.Index}
	k.Iif, k.Oif = dev.Index, 0
	if hook == "output" {
		h.in, h.out, k.Iif, k.Oif = 0, dev.Index, 0, dev.Index
	}
	for _, b := range n.program().BaseChains(snap.ARP, hook, "") {
		if _, f := r.chain(n, h, b, k); f != nil {
			return f
		}
	}
	return nil
}

// arpRcv is arp_rcv and arp_process (net/ipv4/arp.c), or ndisc_recv_ns and
// ndisc_recv_na (net/ipv6/ndisc.c). nil: it was taken in, or was for nobody here.
func (r *run) arpRcv(n *netns, dev *snap.Link, k *skb) *fate {
	if k.PktType == "otherhost" {
		return nil
	}
	if n.n.Light {
		return r.outside(n, dev, k)
	}
	no := func(ref snap.Ref, detail string) *fate {
		return r.drop(n, dev, k, Where{Layer: "neigh", Cause: CauseNoAnswer, Ref: ref, Detail: detail})
	}
	if dev.NoARP {
		if n.holds(k.arp.tip) {
			return no(snap.RefLink(n.n.ID, dev.Name), "ARP is off on "+dev.Name+" of "+n.n.ID)
		}
		return nil
	}
	if k.Family == snap.ARP {
		if f := r.arpHook(n, dev, "input", k); f != nil {
			return f
		}
	} else {
		if n.conf(snap.IPv6, dev, "disable_ipv6") != 0 {
			return nil
		}
		for _, h := range []string{"prerouting", "input"} {
			if h == "prerouting" && k.nfBridge {
				continue // br_netfilter ran it
			}
			if f := r.nf(n, h, dev.Index, 0, k); f != nil {
				return f
			}
		}
	}
	if k.arp.reply {
		if n.holds(k.Dst) || k.Dst == k.arp.sip || k.DstMAC == dev.MAC {
			r.answers = append(r.answers, arpAnswer{k.arp.sha, k.arp.holder, k.arp.dev})
		}
		return nil
	}
	if answers, f := r.answersFor(n, dev, k); !answers {
		return f
	}
	if sip := k.arp.sip; sip.IsValid() {
		// neigh_event_ns: the asker is remembered.
		r.learnNeigh(runNeigh{n, dev.Index, sip}, k.arp.sha)
	}
	a := r.packets.new()
	a.arp = &arpMsg{reply: true, sip: k.arp.tip, tip: k.arp.sip, sha: dev.MAC, holder: n, dev: dev}
	a.SrcMAC, a.DstMAC, a.Src, a.Dst = dev.MAC, k.arp.sha, k.arp.tip, k.arp.sip
	if !a.Dst.IsValid() {
		a.Dst = netip.IPv4Unspecified()
	}
	if k.Family == snap.ARP {
		a.Family, a.EtherType, a.ARPOp, a.Len = snap.ARP, 0x0806, 2, 28
	} else {
		a.nd(136, k.arp.sip)
	}
	return r.arpSend(n, dev, a)
}

// answersFor decides whether the namespace answers a question that came in by
// dev. With false, the fate says why a holder of the address does not.
func (r *run) answersFor(n *netns, dev *snap.Link, k *skb) (bool, *fate) {
	tip, sip := k.arp.tip, k.arp.sip
	no := func(ref snap.Ref, detail string) (bool, *fate) {
		return false, r.drop(n, dev, k, Where{Layer: "neigh", Cause: CauseNoAnswer, Ref: ref, Detail: detail})
	}
	if tip.Is6() {
		for _, i := range n.addrs[tip] {
			if a := &n.n.Addrs[i]; a.Index == dev.Index && addrUsable(a) {
				return true, nil
			}
		}
		return n.proxied(dev, tip), nil
	}
	if tip.IsMulticast() || tip.IsLoopback() && !n.confOr(dev, "route_localnet") {
		return false, nil
	}
	if sip.IsValid() {
		rt := n.routeIn(r.routes.new(), lookup{dst: tip, src: sip}, dev, r.pickWay(n))
		if rt.kind == "" {
			if n.holds(tip) || rt.cause == CauseUnread {
				f := r.routeFate(n, dev, k, rt)
				f.where.Detail = n.n.ID + " takes no question of " + sip.String() + ": " + f.where.Detail
				return false, f
			}
			return false, nil
		}
		if rt.kind != "local" {
			fwd, _ := n.forwarding(dev)
			proxy := fwd && rt.kind == "unicast" && (rt.dev != dev && n.confOr(dev, "proxy_arp") ||
				rt.dev == dev && n.confOr(dev, "proxy_arp_pvlan") || rt.dev != dev && n.proxied(dev, tip))
			return proxy, nil
		}
	} else if n.addrType(tip, 0) != "local" {
		return false, nil
	}
	if bad := n.arpIgnore(dev, sip, tip); bad != "" {
		key := "net/ipv4/conf/all/arp_ignore"
		if n.confAll(snap.IPv4, "arp_ignore") < n.conf(snap.IPv4, dev, "arp_ignore") {
			key = "net/ipv4/conf/" + dev.Name + "/arp_ignore"
		}
		return no(snap.RefSysctl(n.n.ID, key), bad)
	}
	if n.confOr(dev, "arp_filter") && sip.IsValid() {
		rt := n.routeOut(r.routes.new(), lookup{dst: sip, src: tip}, false, r.pickWay(n))
		if rt.errno != "" || rt.dev != dev {
			return no("", "arp_filter: the way back to "+sip.String()+" is not "+dev.Name)
		}
	}
	return true, nil
}

// proxied says whether there is a proxy entry for the address.
func (n *netns) proxied(dev *snap.Link, ip netip.Addr) bool {
	for i := range n.n.Neighs {
		e := &n.n.Neighs[i]
		if e.Proxy && e.IP == ip && (e.Index == dev.Index || e.Index == 0) {
			return ip.Is4() || n.conf(snap.IPv6, dev, "proxy_ndp") != 0 || n.confAll(snap.IPv6, "proxy_ndp") != 0
		}
	}
	return false
}

// arpIgnore is arp_ignore (net/ipv4/arp.c): the reason why a local address is
// not answered for, "" when it is.
func (n *netns) arpIgnore(dev *snap.Link, sip, tip netip.Addr) string {
	mode := n.confMax(dev, "arp_ignore")
	on := func(anyDev bool, notHost bool) bool {
		for _, i := range n.addrs[tip] {
			a := &n.n.Addrs[i]
			if (anyDev || a.Index == dev.Index) && !(notHost && a.Scope == "host") {
				return true
			}
		}
		return false
	}
	why := fmt.Sprintf("arp_ignore=%d on %s of %s", mode, dev.Name, n.n.ID)
	switch mode {
	case 0:
		return ""
	case 1:
		if on(false, false) {
			return ""
		}
	case 2:
		for _, i := range n.addrs[tip] {
			if a := &n.n.Addrs[i]; a.Index == dev.Index && sip.IsValid() && onSubnet(a, sip) {
				return ""
			}
		}
	case 3:
		if on(true, true) {
			return ""
		}
	case 8:
	default:
		return ""
	}
	return why
}
