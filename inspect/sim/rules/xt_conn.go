package rules

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// connMatch compiles matches on the connection.
func connMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.ConntrackMatch:
		return func(m *machine) truth { return conntrack(&m.pkt, v) }
	case *fw.StateMatch:
		return func(m *machine) truth { return is(slices.Contains(v.States, stateName(&m.pkt.CT))) }
	case *fw.ConnmarkMatch:
		return func(m *machine) truth {
			c := &m.pkt.CT
			if !c.tracked() {
				return is(false)
			}
			return masked(c.Mark, c.MarkUnknown, v.Mark, v.Mask, "the connection's mark").xor(v.Invert)
		}
	case *fw.ConnbytesMatch:
		return func(m *machine) truth {
			c := &m.pkt.CT
			if !c.tracked() {
				return is(false)
			}
			n, known := c.amount(v.What, v.Direction)
			if !known {
				return varies("the connection has had so many " + v.What)
			}
			return is(n >= v.From && n <= v.To).xor(v.Invert)
		}
	case *fw.ConnlimitMatch:
		return func(m *machine) truth {
			a := m.pkt.Src
			if v.Dst {
				a = m.pkt.Dst
			}
			// A rule counts what it has met of them, and this one.
			n, known := m.env.Connections(a, v.Mask, v.Dst)
			if known && n < v.Limit || fewConnections(m.env, v.Limit) {
				return is(v.Invert)
			}
			return varies("more connections than the limit").xor(v.Invert)
		}
	case *fw.ConnlabelMatch:
		return func(m *machine) truth { return connlabel(m, v) }
	case *fw.HelperMatch:
		return func(m *machine) truth { return helper(&m.pkt, v) }
	case *fw.ClusterMatch:
		return func(m *machine) truth { return cluster(&m.pkt, v) }
	}
	return nil
}

// amount is what a connection has had of packets, of bytes, or of bytes a packet, in
// one direction or both (net/netfilter/xt_connbytes.c:connbytes_mt,
// nft_ct.c:nft_ct_get_eval). A rule that asks turns the counters on.
func (c *CT) amount(what, dir string) (n uint64, known bool) {
	var packets, octets uint64
	for i, d := range [2]string{"original", "reply"} {
		if dir == "" || dir == "both" || dir == d {
			packets, octets = packets+c.Packets[i], octets+c.Bytes[i]
		}
	}
	switch what {
	case "packets", "pkts":
		n = packets
	case "bytes":
		n = octets
	case "avgpkt":
		if packets > 0 {
			n = octets / packets
		}
	default:
		return 0, false
	}
	return n, c.Counted
}

// stateName is the packet's state as xt's state and conntrack name it: without
// a connection it is INVALID, also where conntrack has not run.
func stateName(c *CT) string {
	if c.tracked() || c.State == "untracked" {
		return strings.ToUpper(c.State)
	}
	return "INVALID"
}

// conntrack is net/netfilter/xt_conntrack.c:conntrack_mt.
func conntrack(p *Packet, v *fw.ConntrackMatch) truth {
	c := &p.CT
	if v.Has(fw.CTState) {
		hit := slices.Contains(v.States, stateName(c)) ||
			c.tracked() && (c.SNAT && slices.Contains(v.States, "SNAT") || c.DNAT && slices.Contains(v.States, "DNAT"))
		if hit == v.Inverted(fw.CTState) {
			return is(false)
		}
	}
	if !c.tracked() {
		return is(v.Has(fw.CTState))
	}
	if v.Has(fw.CTDirection) && c.Reply != v.Inverted(fw.CTDirection) {
		return is(false)
	}
	t := is(true)
	for _, a := range []struct {
		test fw.ConntrackTest
		have netip.AddrPort
		want fw.Masked
	}{
		{fw.CTOrigSrc, c.Orig.Src, v.OrigSrc},
		{fw.CTOrigDst, c.Orig.Dst, v.OrigDst},
		{fw.CTReplSrc, c.ReplyTuple.Src, v.ReplSrc},
		{fw.CTReplDst, c.ReplyTuple.Dst, v.ReplDst},
	} {
		if v.Has(a.test) {
			t = t.and(maskedAddr(a.have, a.want).xor(v.Inverted(a.test)))
		}
	}
	if v.Has(fw.CTProto) {
		t = t.and(connProto(p, v.Proto).xor(v.Inverted(fw.CTProto)))
	}
	for _, a := range []struct {
		test fw.ConntrackTest
		have netip.AddrPort
		want fw.PortRange
	}{
		{fw.CTOrigSrcPort, c.Orig.Src, v.OrigSrcPort},
		{fw.CTOrigDstPort, c.Orig.Dst, v.OrigDstPort},
		{fw.CTReplSrcPort, c.ReplyTuple.Src, v.ReplSrcPort},
		{fw.CTReplDstPort, c.ReplyTuple.Dst, v.ReplDstPort},
	} {
		if v.Has(a.test) {
			x := unsure("a port of the connection")
			if a.have.Addr().IsValid() {
				x = is(inRange(a.have.Port(), a.want))
			}
			t = t.and(x.xor(v.Inverted(a.test)))
		}
	}
	if v.Has(fw.CTStatus) {
		t = t.and(ctStatus(c, v.Status).xor(v.Inverted(fw.CTStatus)))
	}
	if v.Has(fw.CTExpires) {
		t = t.and(expires(v.ExpiresMin, v.ExpiresMax).xor(v.Inverted(fw.CTExpires)))
	}
	return t
}

func expires(lo, hi time.Duration) truth {
	return varies("the connection expires in " + lo.String() + " to " + hi.String())
}

func maskedAddr(have netip.AddrPort, want fw.Masked) truth {
	if !have.Addr().IsValid() {
		return unsure("an address of the connection")
	}
	a, b, k := have.Addr().AsSlice(), want.Addr.AsSlice(), want.Mask.AsSlice()
	if len(a) != len(b) || len(a) != len(k) {
		return is(false)
	}
	for i := range a {
		if (a[i]^b[i])&k[i] != 0 {
			return is(false)
		}
	}
	return is(true)
}

// connProto compares the connection's protocol, which for an ICMP error is
// that of the connection it is about.
func connProto(p *Packet, want uint16) truth {
	if p.CT.State == "related" && snap.IsICMP(p.Proto) {
		return unsure("the protocol of the related connection")
	}
	return is(uint16(p.Proto) == want)
}

// ctStatus says whether one of the status bits is set.
func ctStatus(c *CT, names []string) truth {
	v, unknown := c.status()
	t := is(false)
	for i, n := range []string{"EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"} {
		if !slices.Contains(names, n) {
			continue
		}
		if unknown&(1<<i) != 0 {
			t = t.or(unsure("whether the connection was expected"))
		} else {
			t = t.or(is(v&(1<<i) != 0))
		}
	}
	return t
}

// cluster is net/netfilter/xt_cluster.c: the hash of the source that the
// connection had first says which node it belongs to.
func cluster(p *Packet, v *fw.ClusterMatch) truth {
	if p.Dst.IsMulticast() && p.PktType == "multicast" {
		p.PktType = "host"
	}
	src := p.CT.Orig.Src.Addr()
	switch {
	case !p.CT.tracked():
		return is(false)
	case !src.IsValid() || p.CT.State == "related":
		return unsure("this node's share of the cluster")
	}
	node := uint64(jhash(src.AsSlice(), v.Seed)) * uint64(v.Total) >> 32
	return is(v.NodeMask&(1<<node) != 0).xor(v.Invert)
}

// connlabel is net/netfilter/xt_connlabel.c:connlabel_mt.
func connlabel(m *machine, v *fw.ConnlabelMatch) truth {
	c := &m.pkt.CT
	switch {
	case !c.tracked() || v.Bit > 127:
		return is(v.Invert)
	case v.Set:
		if c.Label != nil || c.State == "new" {
			c.Label = pad(slices.Clone(c.Label), 16)
			c.Label[v.Bit/8] |= 1 << (v.Bit % 8)
		}
		return is(!v.Invert)
	case c.Label != nil:
		return is(int(v.Bit/8) < len(c.Label) && c.Label[v.Bit/8]&(1<<(v.Bit%8)) != 0).xor(v.Invert)
	case c.State == "new":
		return is(v.Invert)
	}
	return unsure("a label of the connection").xor(v.Invert)
}

// helper is net/netfilter/xt_helper.c: the helper of the connection that
// expected this one.
func helper(p *Packet, v *fw.HelperMatch) truth {
	c := &p.CT
	switch {
	case !c.tracked() || c.State == "new" || snap.IsICMP(p.Proto):
		return is(v.Invert)
	case c.State == "related" && c.Helper != "":
		return is(v.Name == "" || strings.HasPrefix(v.Name, c.Helper)).xor(v.Invert)
	}
	return unsure("whether a helper expected the connection").xor(v.Invert)
}

// routeMatch compiles matches that ask the routing table.
func routeMatch(v any) matchFunc {
	switch v := v.(type) {
	case *fw.AddrTypeMatch:
		return func(m *machine) truth { return addrType(m, v) }
	case *fw.RPFilterMatch:
		return func(m *machine) truth { return rpfilter(m, v) }
	case *fw.RealmMatch:
		return func(*machine) truth { return unsure("the realm of the route") }
	}
	return nil
}

// addrType is net/netfilter/xt_addrtype.c.
func addrType(m *machine, v *fw.AddrTypeMatch) truth {
	dev := 0
	switch {
	case v.LimitIn:
		dev = m.pkt.Iif
	case v.LimitOut:
		dev = m.pkt.Oif
	}
	t := is(true)
	if len(v.Src) > 0 {
		t = m.ofType(m.pkt.Src, dev, v.Src).xor(v.InvSrc)
	}
	if len(v.Dst) > 0 {
		t = t.and(m.ofType(m.pkt.Dst, dev, v.Dst).xor(v.InvDst))
	}
	return t
}

// ofType says whether an address is of one of the types. For IPv6 the types
// that follow from the address alone must all hold (match_type6).
func (m *machine) ofType(a netip.Addr, dev int, types []string) truth {
	routed := types
	if m.pkt.Family == snap.IPv6 {
		routed = nil
		for _, t := range types {
			switch {
			case t == "MULTICAST" && !a.IsMulticast(),
				t == "UNICAST" && (a.IsMulticast() || a.IsUnspecified() || a.IsLoopback()),
				t == "UNSPEC" && !a.IsUnspecified():
				return is(false)
			case t == "LOCAL" || t == "ANYCAST" || t == "UNREACHABLE":
				routed = append(routed, t)
			}
		}
		if routed == nil {
			return is(true)
		}
	}
	have := m.env.AddrType(a, dev)
	if _, ok := routeType(have); !ok {
		return unsure("the type of " + a.String())
	}
	return is(slices.Contains(routed, strings.ToUpper(have)))
}

// rpfilter is net/ipv4/netfilter/ipt_rpfilter.c and ip6t_rpfilter.c.
func rpfilter(m *machine, v *fw.RPFilterMatch) truth {
	p := &m.pkt
	six := p.Family == snap.IPv6
	if m.loopsBack() || !six && special(p) || six && p.Src.IsUnspecified() {
		return is(!v.Invert)
	}
	q := FIBQuery{Dst: p.Src, Src: lookupSource(p.Dst), TOS: p.TOS, Proto: p.Proto, Oif: p.Iif}
	if v.ValidMark {
		if p.MarkUnknown != 0 {
			return unsure("the route back with an unknown mark").xor(v.Invert)
		}
		q.Mark = p.Mark
	}
	oif, typ, ok := m.env.FIB(q)
	switch {
	case !ok:
		return is(v.Invert)
	case typ == "local" && v.AcceptLocal:
		if six {
			return is(!v.Invert)
		}
	case typ != "unicast":
		return is(v.Invert)
	}
	return is(oif == p.Iif || v.Loose).xor(v.Invert)
}
