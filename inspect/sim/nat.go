package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxMapped bounds the addresses or ports of a mapping that are tried one by one.
const maxMapped = 8

// nat is the NAT core at one hook: nf_nat_inet_fn (net/netfilter/nf_nat_core.c).
// The first packet of a connection asks the nat chains, in their own order, and
// the first mapping wins; all others follow the entry.
func (r *run) nat(n *netns, h *hookState, chains []*rules.BaseChain, k *skb) *fate {
	c := k.conn
	if c == nil {
		return nil
	}
	src := h.hook == "postrouting" || h.hook == "input"
	if k.inner != nil {
		r.natError(k, src)
		return nil
	}
	done := &c.dstDone
	if src {
		done = &c.srcDone
	}
	if k.isNew && !*done {
		*done = true
		chains = r.twoNATs(n, h.hook, chains)
		for _, b := range chains {
			br, f := r.chain(n, h, b, k)
			if f != nil {
				return f
			}
			if br.NAT == nil {
				continue
			}
			if f := r.setup(n, h, k, br.NAT); f != nil {
				return f
			}
			break
		}
	}
	r.mangle(k, src)
	return nil
}

// twoNATs forks over the order of iptables-legacy's nat table and another one of the
// same priority, where both have rules: the one that was registered last is asked
// first (nf_hook_entries_grow), and the first that maps is the last one asked.
func (r *run) twoNATs(n *netns, hook string, chains []*rules.BaseChain) []*rules.BaseChain {
	for i, b := range chains {
		for j := 0; j < i; j++ {
			a := chains[j]
			if (a.System == snap.IPTablesLegacy) == (b.System == snap.IPTablesLegacy) || a.Priority != b.Priority || len(a.Chain.Rules)*len(b.Chain.Rules) == 0 {
				continue
			}
			swap := r.choose(2) == 1
			r.assume(n.n.ID, rules.Assumption{
				Key: "legacy order " + hook, Value: (a.System == snap.IPTablesLegacy) != swap,
				What: "iptables-legacy's nat table is asked before that of nf_tables in " + n.n.ID,
			})
			if chains = slices.Clone(chains); swap {
				chains[i], chains[j] = a, b
			}
			return chains
		}
	}
	return chains
}

// setup is nf_nat_setup_info: it decides the mapping of a connection.
func (r *run) setup(n *netns, h *hookState, k *skb, m *rules.NAT) *fate {
	t := k.conn.reply.invert()
	addr, port := t.dst, t.dport
	if m.Src {
		addr, port = t.src, t.sport
	}
	ip, f := r.mapAddr(n, h, k, m, addr)
	if f != nil {
		return f
	}
	p := port
	if m.PortMin != 0 && !snap.IsICMP(k.Proto) {
		if f := r.portsLeft(n, k, m, ip); f != nil {
			return f
		}
		p = r.mapPort(n, m, port)
	}
	was := t
	if m.Src {
		t.src, t.sport = ip, p
		k.conn.snat = k.conn.snat || t != was
	} else {
		t.dst, t.dport = ip, p
		k.conn.dnat = k.conn.dnat || t != was
	}
	k.conn.reply = t.invert()
	made := *m
	made.AddrMin, made.AddrMax, made.PortMin, made.PortMax = ip, ip, p, p
	place := n.say(m.Place)
	made.Place = &place.place
	r.nats = append(r.nats, made)
	verb := "DNAT to "
	if m.Src {
		verb = "SNAT to "
	}
	if m.Kind == "masquerade" {
		verb = "masquerade as "
	}
	to := ip.String()
	if p != port {
		to = netip.AddrPortFrom(ip, p).String()
	}
	r.mangle(k, m.Src)
	r.hop(n, n.links[max(k.Iif, k.Oif)], place.place.Table+" "+place.place.Chain, verb+to+" by "+place.name, "ok", k, place.place.Ref).Rule = place.line
	return nil
}

// portsLeft ends a packet for which a source range has no port any more: the mapping
// then clashes with another connection's, and nobody confirms it
// (nf_nat_l4proto_unique_tuple, __nf_conntrack_confirm).
func (r *run) portsLeft(n *netns, k *skb, m *rules.NAT, ip netip.Addr) *fate {
	size := int(m.PortMax) - int(m.PortMin) + 1
	if !m.Src || size > len(n.n.Conntrack) {
		return nil
	}
	taken := map[uint16]bool{}
	for i := range n.n.Conntrack {
		c := &n.n.Conntrack[i]
		if p := c.Reply.Dst.Port(); c.Proto == k.Proto && c.Reply.Src == netip.AddrPortFrom(k.Dst, k.Dport) && c.Reply.Dst.Addr() == ip && m.PortMin <= p && p <= m.PortMax {
			taken[p] = true
		}
	}
	if len(taken) < size {
		return nil
	}
	place := &n.say(m.Place).place
	return r.drop(n, n.links[k.Oif], k, Where{
		Layer: "netfilter", Cause: CauseRule, Reason: "NETFILTER_DROP", Rule: place, Ref: place.Ref,
		Detail: fmt.Sprintf("connections to %s hold all of its ports, %d to %d", addrPort(k.Dst, k.Dport), m.PortMin, m.PortMax),
	})
}

// mapAddr is the address that a mapping gives.
func (r *run) mapAddr(n *netns, h *hookState, k *skb, m *rules.NAT, old netip.Addr) (netip.Addr, *fate) {
	fail := func(detail string) *fate {
		place := &n.say(m.Place).place
		return r.drop(n, n.links[k.Oif], k, Where{Layer: "netfilter", Cause: CauseNATReroute, Reason: "NETFILTER_DROP", Rule: place, Ref: place.Ref, Detail: detail})
	}
	switch {
	case m.Kind == "masquerade":
		out := n.links[k.Oif]
		if out == nil {
			return old, fail("there is no device to masquerade for")
		}
		var ip netip.Addr
		if k.Family == snap.IPv6 {
			ip = n.selectAddr6(out, k.Dst)
		} else {
			nh := k.Dst
			if k.route != nil && k.route.gw.IsValid() {
				nh = k.route.gw
			}
			ip = n.selectAddr(out, nh, 0)
		}
		if !ip.IsValid() {
			return old, fail(out.Name + " has no address to masquerade with")
		}
		return ip, nil
	case m.Kind == "redirect":
		if h.hook == "output" {
			if k.Family == snap.IPv6 {
				return netip.IPv6Loopback(), nil
			}
			return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
		}
		dev := n.links[k.Iif]
		if dev == nil {
			return old, fail("there is no device to redirect to")
		}
		if a := n.DeviceAddr(dev.Index, k.Family); a.IsValid() {
			return a, nil
		}
		return old, fail(dev.Name + " has no address to redirect to")
	case m.Prefix.IsValid():
		return netmap(m.Prefix, old), nil
	case !m.AddrMin.IsValid():
		return old, nil
	case !m.AddrMax.IsValid() || m.AddrMax == m.AddrMin:
		return m.AddrMin, nil
	}
	return r.fromRange(n, k, m)
}

// fromRange forks over the addresses of a range, which the kernel chooses from
// by a hash (find_best_ips_proto).
func (r *run) fromRange(n *netns, k *skb, m *rules.NAT) (netip.Addr, *fate) {
	place := n.say(m.Place)
	var all []netip.Addr
	for a := m.AddrMin; a.IsValid() && !m.AddrMax.Less(a); a = a.Next() {
		if all = append(all, a); len(all) > maxMapped {
			return m.AddrMin, r.unknown(n, nil, k, Where{
				Layer: "netfilter", Cause: CauseModel, Rule: &place.place, Ref: place.place.Ref,
				Detail: fmt.Sprintf("%s maps to one of the addresses %s-%s", place.name, m.AddrMin, m.AddrMax),
			})
		}
	}
	if len(all) == 0 {
		return m.AddrMin, nil
	}
	i := r.choose(len(all))
	r.assume(n.n.ID, rules.Assumption{
		Key: fmt.Sprintf("nat range %s %d", place.name, i), What: place.name + " takes " + all[i].String(),
		Value: true, Chance: 1 / float64(len(all)), StateDependent: true,
	})
	return all[i], nil
}

// mapPort is the port that a mapping gives: the old one if it is in the range,
// else one of the range (nf_nat_l4proto_unique_tuple); which one matters for
// destinations only.
func (r *run) mapPort(n *netns, m *rules.NAT, old uint16) uint16 {
	lo, hi := m.PortMin, max(m.PortMax, m.PortMin)
	if lo == hi || old >= lo && old <= hi && !m.Random {
		if lo == hi {
			return lo
		}
		return old
	}
	if m.Src {
		return lo
	}
	i := r.choose(min(int(hi-lo)+1, maxMapped))
	place := n.say(m.Place)
	p := lo + uint16(i)
	r.assume(n.n.ID, rules.Assumption{Key: fmt.Sprintf("nat port %s %d", place.name, p), What: fmt.Sprintf("%s takes port %d", place.name, p), Value: true, StateDependent: true})
	return p
}

// netmap keeps the host part of an address.
func netmap(p netip.Prefix, a netip.Addr) netip.Addr {
	x, y := p.Masked().Addr().AsSlice(), a.AsSlice()
	if len(x) != len(y) {
		return a
	}
	for i := range x {
		bits := min(max(p.Bits()-8*i, 0), 8)
		mask := byte(0xff << (8 - bits))
		x[i] = x[i]&mask | y[i]&^mask
	}
	out, _ := netip.AddrFromSlice(x)
	return out
}

// mapping is what the packet's connection makes of its source or destination, and
// whether it does.
func (k *skb) mapping(src bool) (target tuple, mapped bool) {
	c := k.conn
	if k.dir == dirReply {
		return c.orig.invert(), src && c.dnat || !src && c.snat
	}
	return c.reply.invert(), src && c.snat || !src && c.dnat
}

// mangle is nf_nat_packet: it rewrites one side of the packet as the entry says.
func (r *run) mangle(k *skb, src bool) {
	target, mapped := k.mapping(src)
	if !mapped {
		return
	}
	if src {
		k.Src, k.Sport = target.src, target.sport
	} else {
		k.Dst = target.dst
		if snap.IsICMP(k.Proto) {
			k.Sport = target.sport
		} else {
			k.Dport = target.dport
		}
	}
	k.CT.SNAT, k.CT.DNAT, k.CT.ReplyTuple = k.conn.snat, k.conn.dnat, k.conn.reply.snapTuple()
}

// natError is nf_nat_icmp_reply_translation: an ICMP error about a mapped
// connection is rewritten outside and inside.
func (r *run) natError(k *skb, src bool) {
	other, mapped := k.mapping(src)
	if !mapped {
		return
	}
	// The quoted packet went the other way: its source is what the outer
	// destination becomes.
	if src {
		k.Src = other.src
		k.inner.dst, k.inner.dport = other.src, other.sport
	} else {
		k.Dst = other.dst
		k.inner.src, k.inner.sport = other.dst, other.dport
	}
}
