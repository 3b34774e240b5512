package rules

import (
	"bytes"
	"net/netip"
	"slices"
)

// tproxyTo is where nft's tproxy or xt's TPROXY sent the packet.
type tproxyTo struct{ addr netip.AddrPort }

// same says whether two packets are alike but for what was assumed.
func (p *Packet) same(q *Packet) bool {
	return p.Family == q.Family && p.Proto == q.Proto && p.Src == q.Src && p.Dst == q.Dst &&
		p.Sport == q.Sport && p.Dport == q.Dport && p.ICMPType == q.ICMPType && p.ICMPCode == q.ICMPCode &&
		p.TCPFlags == q.TCPFlags && p.TCPMSS == q.TCPMSS && p.TTL == q.TTL && p.TOS == q.TOS && p.Len == q.Len &&
		p.DF == q.DF && p.Frag == q.Frag && (p.Payload == nil) == (q.Payload == nil) && bytes.Equal(p.Payload, q.Payload) &&
		p.SrcMAC == q.SrcMAC && p.DstMAC == q.DstMAC && p.EtherType == q.EtherType && p.VLAN == q.VLAN && p.PktType == q.PktType &&
		p.Iif == q.Iif && p.Oif == q.Oif && p.PhysIn == q.PhysIn && p.PhysOut == q.PhysOut && p.PhysBridged == q.PhysBridged &&
		p.Mark == q.Mark && p.MarkUnknown == q.MarkUnknown && p.Priority == q.Priority && p.ARPOp == q.ARPOp && p.IPsec == q.IPsec && p.IPVS == q.IPVS &&
		slices.Equal(p.Recent, q.Recent) && p.CT.same(&q.CT) && (p.Local == q.Local || p.Local != nil && q.Local != nil && *p.Local == *q.Local)
}

func (c *CT) same(d *CT) bool {
	return c.State == d.State && c.Reply == d.Reply && c.SNAT == d.SNAT && c.DNAT == d.DNAT && c.SeenReply == d.SeenReply &&
		c.Assured == d.Assured && c.Confirmed == d.Confirmed && c.Mark == d.Mark && c.MarkUnknown == d.MarkUnknown &&
		c.Orig == d.Orig && c.ReplyTuple == d.ReplyTuple && c.Zone == d.Zone && c.ZoneDir == d.ZoneDir && c.Helper == d.Helper && bytes.Equal(c.Label, d.Label) &&
		c.Packets == d.Packets && c.Bytes == d.Bytes && c.Counted == d.Counted
}

// same says whether two mappings are alike, wherever they come from.
func (n *NAT) same(o *NAT) bool {
	if n == nil || o == nil {
		return n == o
	}
	a, b := *n, *o
	a.Place, b.Place = nil, nil
	return a == b
}

// merge joins machine i with another one that stands at the same place with
// the same packet. It says whether it did; the list has changed then.
func (r *runner) merge(i int) bool {
	m := r.live[i]
	if m.expr != 0 {
		return false
	}
	for j, o := range r.live {
		if j == i || o.expr != 0 || !slices.Equal(m.frames, o.frames) || !m.pkt.same(&o.pkt) ||
			m.notrack != o.notrack || m.tproxy != o.tproxy {
			continue
		}
		m.pkt.Assumed = common(m.pkt.Assumed, o.pkt.Assumed)
		m.path = weave(m.path, o.path)
		r.live = append(r.live[:j], r.live[j+1:]...)
		return true
	}
	return false
}

// join merges a branch that ends like this one, but for the path; false when
// it does not.
func (b *Branch) join(o *Branch) bool {
	if b.Verdict != o.Verdict || b.RejectWith != o.RejectWith || b.Notrack != o.Notrack || b.Tproxy != o.Tproxy ||
		b.FwdTo != o.FwdTo || b.Unknown != o.Unknown || b.Why != o.Why || !b.NAT.same(o.NAT) || !b.Packet.same(&o.Packet) {
		return false
	}
	b.Packet.Assumed = common(b.Packet.Assumed, o.Packet.Assumed)
	for _, p := range append([]*Place{o.Place}, o.Also...) {
		if p != b.Place && !slices.Contains(b.Also, p) {
			b.Also = append(b.Also, p)
		}
	}
	return true
}

// common are the assumptions that both ways made.
func common(a, b []Assumption) []Assumption {
	var out []Assumption
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// weave puts two paths together: what only one of them has is marked as such.
func weave(a, b []Step) []Step {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := slices.Clone(a[:head])
	for _, part := range [][]Step{a[head : len(a)-tail], b[head : len(b)-tail]} {
		for _, p := range part {
			p.Maybe = true
			if !slices.Contains(out[head:], p) {
				out = append(out, p)
			}
		}
	}
	return append(out, a[len(a)-tail:]...)
}
