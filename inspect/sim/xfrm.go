package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// xfrmPolicy finds the policy of IPsec that a packet meets in a direction: of those
// that match the one with the lowest priority, and of equals the oldest, which a dump
// has last (net/xfrm/xfrm_policy.c: xfrm_policy_insert_list, xfrm_policy_walk). Policies of xfrm devices are
// for what those send. -1 none.
func (n *netns) xfrmPolicy(dir string, k *skb, oif int) int {
	x := n.n.Xfrm
	best := -1
	for i := range x.Policies {
		p := &x.Policies[i]
		if p.Dir == dir && p.IfID == 0 && (best < 0 || p.Priority <= x.Policies[best].Priority) && selects(p, k, oif) {
			best = i
		}
	}
	return best
}

// selects is xfrm_selector_match and the mark.
func selects(p *snap.XfrmPolicy, k *skb, oif int) bool {
	sport, dport := k.Sport, k.Dport
	if snap.IsICMP(k.Proto) { // xfrm_flowi_sport, xfrm_flowi_dport
		sport, dport = uint16(k.ICMPType), uint16(k.ICMPCode)
	}
	return p.Family == k.Family && p.Src.Contains(k.Src) && p.Dst.Contains(k.Dst) && (p.Proto == 0 || p.Proto == k.Proto) &&
		(sport^p.Sport[0])&p.Sport[1] == 0 && (dport^p.Dport[0])&p.Dport[1] == 0 && (p.Oif == 0 || p.Oif == oif) && k.Mark&p.Mask == p.Mark
}

// xfrmExempt says whether a route by the device is none of IPsec's affair
// (disable_xfrm, disable_policy: DST_NOXFRM, DST_NOPOLICY); the loopback's is not.
func (n *netns) xfrmExempt(dev *snap.Link, fam snap.Family, key string) bool {
	if dev == nil || fam == snap.IPv6 && key == "disable_xfrm" {
		return dev != nil && dev.Loopback
	}
	if fam == snap.IPv6 {
		return n.confAll(fam, key) != 0 || n.conf(fam, dev, key) != 0
	}
	return n.confOr(dev, key)
}

// xfrmCheck is xfrm_policy_check: what came in, or is forwarded, without a wrapping
// that a policy of that direction asks for is dropped.
func (r *run) xfrmCheck(n *netns, dir string, dev *snap.Link, k *skb) *fate {
	if n.n.Xfrm == nil || n.xfrmExempt(dev, k.Family, "disable_policy") {
		return nil
	}
	i := n.xfrmPolicy(dir, k, 0)
	if i < 0 {
		return r.xfrmDefault(n, dir, dev, k)
	}
	p := &n.n.Xfrm.Policies[i]
	ref := snap.RefItem(n.n.ID, "xfrm", i)
	switch {
	case p.Block:
		return r.drop(n, dev, k, Where{Layer: "xfrm", Cause: CauseXfrm, Reason: "XFRM_POLICY", Ref: ref, Detail: "an IPsec policy of " + n.n.ID + " blocks it: " + XfrmText(p)})
	case slices.ContainsFunc(p.Templates, func(t snap.XfrmTemplate) bool { return !t.Optional }):
		return r.drop(n, dev, k, Where{Layer: "xfrm", Cause: CauseXfrm, Reason: "XFRM_POLICY", Ref: ref, Detail: "an IPsec policy of " + n.n.ID + " takes it only out of " + p.Templates[0].Proto + ": " + XfrmText(p)})
	}
	return nil
}

// xfrmOut is xfrm_lookup for what leaves by dev: a policy may block it, or have it
// wrapped. What becomes of a wrapped packet is not followed; one that no association
// can wrap yet is lost (net.core.xfrm_larval_drop).
func (r *run) xfrmOut(n *netns, dev *snap.Link, k *skb) *fate {
	if n.n.Xfrm == nil || dev == nil || n.xfrmExempt(dev, k.Family, "disable_xfrm") {
		return nil
	}
	i := n.xfrmPolicy("out", k, dev.Index)
	if i < 0 {
		return r.xfrmDefault(n, "out", dev, k)
	}
	p := &n.n.Xfrm.Policies[i]
	w := Where{Layer: "xfrm", Cause: CauseXfrm, Reason: "XFRM_POLICY", Ref: snap.RefItem(n.n.ID, "xfrm", i)}
	if p.Block {
		w.Detail = "an IPsec policy of " + n.n.ID + " blocks it: " + XfrmText(p)
		return r.drop(n, dev, k, w)
	}
	for _, t := range p.Templates {
		if !t.Optional && !n.n.Xfrm.Ready(t, k.Src, k.Dst) {
			w.Detail = fmt.Sprintf("an IPsec policy of %s wants it in %s to %s, and there is no association for that: %s", n.n.ID, t.Proto, xfrmEnd(t, k.Dst), XfrmText(p))
			return r.drop(n, dev, k, w)
		}
	}
	if len(p.Templates) > 0 {
		w.Cause, w.Reason = CauseModel, ""
		w.Detail = fmt.Sprintf("IPsec of %s wraps it in %s to %s, which is not followed", n.n.ID, p.Templates[0].Proto, xfrmEnd(p.Templates[0], k.Dst))
		return r.unknown(n, dev, k, w)
	}
	return nil
}

// xfrmDefault is for packets that no policy is about.
func (r *run) xfrmDefault(n *netns, dir string, dev *snap.Link, k *skb) *fate {
	if !slices.Contains(n.n.Xfrm.Block, dir) {
		return nil
	}
	return r.drop(n, dev, k, Where{Layer: "xfrm", Cause: CauseXfrm, Reason: "XFRM_POLICY", Ref: snap.RefNetns(n.n.ID), Detail: "IPsec of " + n.n.ID + " blocks what no policy is about (setdefault " + dir + " block)"})
}

func xfrmEnd(t snap.XfrmTemplate, dst netip.Addr) netip.Addr {
	if t.Dst.IsUnspecified() {
		return dst
	}
	return t.Dst
}

// XfrmText is a policy in the words of ip-xfrm(8).
func XfrmText(p *snap.XfrmPolicy) string {
	s := fmt.Sprintf("src %s dst %s", p.Src, p.Dst)
	if p.Proto != 0 {
		s += " proto " + string(protoName(p.Proto))
	}
	if p.Sport[1] != 0 {
		s += fmt.Sprintf(" sport %d", p.Sport[0])
	}
	if p.Dport[1] != 0 {
		s += fmt.Sprintf(" dport %d", p.Dport[0])
	}
	s += " dir " + p.Dir
	if p.Block {
		s += " action block"
	}
	if p.Priority != 0 {
		s += fmt.Sprintf(" priority %d", p.Priority)
	}
	if p.Mask != 0 {
		s += fmt.Sprintf(" mark %#x mask %#x", p.Mark, p.Mask)
	}
	for _, t := range p.Templates {
		s += fmt.Sprintf(" tmpl src %s dst %s proto %s mode %s", cmp.Or(t.Src, netip.IPv4Unspecified()), cmp.Or(t.Dst, netip.IPv4Unspecified()), t.Proto, t.Mode)
		if t.ReqID != 0 {
			s += fmt.Sprintf(" reqid %d", t.ReqID)
		}
	}
	return s
}
