package sim

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// tuple is one direction of a connection. Echo messages have their id in both
// ports and their type in typ.
type tuple struct {
	src, dst     netip.Addr
	sport, dport uint16
	proto        uint8
	typ          uint8
}

// conn is a conntrack entry of one namespace.
type conn struct {
	orig, reply  tuple
	mark         uint32
	label        []byte
	zone         zone
	helper       string
	snat, dnat   bool
	srcDone      bool // IPS_SRC_NAT_DONE: nat chains were asked, or had nothing to say
	dstDone      bool
	confirmed    bool
	seenReply    bool
	assured      bool
	fromSnapshot int // index in Netns.Conntrack plus one; 0: made by this walk
	// packets and bytes are what went by it in each direction; of an entry of the
	// snapshot they are not known.
	packets, bytes [2]uint64
}

// zone is a struct nf_conntrack_zone: connections of one zone are none of
// another's. It may count for one direction only.
type zone struct {
	id  uint16
	dir string // "original", "reply", or "" for both
}

// in is nf_ct_zone_id.
func (z zone) in(dir int) uint16 {
	if z.dir == "original" && dir != dirOrig || z.dir == "reply" && dir != dirReply {
		return 0
	}
	return z.id
}

// same is nf_ct_zone_equal.
func (z zone) same(o zone, dir int) bool { return z.in(dir) == o.in(dir) }

const (
	dirOrig  = 0
	dirReply = 1
)

// invert is nf_ct_invert_tuple.
func (t tuple) invert() tuple {
	o := tuple{src: t.dst, dst: t.src, sport: t.dport, dport: t.sport, proto: t.proto, typ: t.typ}
	switch {
	case t.proto == snap.IPProtoICMP && t.typ == icmpEcho:
		o.typ = icmpEchoReply
	case t.proto == snap.IPProtoICMP && t.typ == icmpEchoReply:
		o.typ = icmpEcho
	case t.proto == snap.IPProtoICMPv6 && t.typ == icmp6Echo:
		o.typ = icmp6EchoReply
	case t.proto == snap.IPProtoICMPv6 && t.typ == icmp6EchoReply:
		o.typ = icmp6Echo
	}
	return o
}

// tuple is the packet's own.
func (k *skb) tuple() tuple {
	t := tuple{src: k.Src, dst: k.Dst, sport: k.Sport, dport: k.Dport, proto: k.Proto}
	if snap.IsICMP(k.Proto) {
		t.dport, t.typ = k.Sport, k.ICMPType
	}
	return t
}

// snapTuple is the form of snap.Conn, which the rules see.
func (t tuple) snapTuple() snap.Tuple {
	dport := t.dport
	if snap.IsICMP(t.proto) {
		dport = uint16(t.typ) << 8
	}
	return snap.Tuple{Src: netip.AddrPortFrom(t.src, t.sport), Dst: netip.AddrPortFrom(t.dst, dport)}
}

func tupleOf(p uint8, s snap.Tuple) tuple {
	t := tuple{src: s.Src.Addr(), dst: s.Dst.Addr(), sport: s.Src.Port(), dport: s.Dst.Port(), proto: p}
	if snap.IsICMP(p) {
		t.typ, t.dport = uint8(s.Dst.Port()>>8), s.Src.Port()
	}
	return t
}

// connOf takes over an entry of the snapshot.
func connOf(c *snap.Conn, i int) *conn {
	has := func(s string) bool { return slices.Contains(c.Status, s) }
	return &conn{
		orig: tupleOf(c.Proto, c.Orig), reply: tupleOf(c.Proto, c.Reply), mark: c.Mark, zone: zone{id: c.Zone}, helper: c.Helper,
		snat: has("snat"), dnat: has("dnat"), srcDone: true, dstDone: true, confirmed: true,
		seenReply: has("seen-reply"), assured: has("assured"), fromSnapshot: i + 1,
	}
}

// findConn looks a tuple up in a zone; nil when there is no entry.
func (r *run) findConn(n *netns, t tuple, z zone) (*conn, int) {
	for _, c := range r.conns {
		if c.ns != n || !c.confirmed {
			continue
		}
		if c.orig == t && c.zone.same(z, dirOrig) {
			return c.conn, dirOrig
		}
		if c.reply == t && c.zone.same(z, dirReply) {
			return c.conn, dirReply
		}
	}
	if !r.useSnapConns {
		return nil, 0
	}
	for i := range n.n.Conntrack {
		c := &n.n.Conntrack[i]
		if c.Proto != t.proto {
			continue
		}
		dir := dirOrig
		if tupleOf(c.Proto, c.Orig) != t {
			dir = dirReply
			if tupleOf(c.Proto, c.Reply) != t {
				continue
			}
		}
		nc := connOf(c, i)
		if !nc.zone.same(z, dir) {
			continue
		}
		r.usedConn = true
		r.conns = append(r.conns, nsConn{n, nc})
		return nc, dir
	}
	return nil, 0
}

// ctIn is nf_conntrack_in (net/netfilter/nf_conntrack_core.c): it finds or
// makes the packet's entry.
func (r *run) ctIn(n *netns, k *skb) *fate {
	if k.CT.State == "untracked" || k.conn != nil {
		return nil // seen before: it came over the loopback device
	}
	if k.Proto == snap.IPProtoICMPv6 && neverTracked(k.ICMPType) {
		k.CT.State = "untracked"
		return nil
	}
	r.spoil()
	// What a rule said before: the template of nf_ct_zone_tmpl and xt_CT.
	z, helper := zone{k.CT.Zone, k.CT.ZoneDir}, k.CT.Helper
	if k.inner != nil {
		c, dir := r.findConn(n, k.inner.invert(), z)
		if c == nil {
			k.CT = rules.CT{State: "invalid"}
			return nil
		}
		k.conn, k.dir, k.isNew = c, dir, true
		k.syncCT("related")
		return nil
	}
	t := k.tuple()
	c, dir := r.findConn(n, t, z)
	if c == nil {
		if !startsConn(k) {
			k.CT = rules.CT{State: "invalid"}
			return nil
		}
		if n.n.ConntrackMax > 0 && n.n.ConntrackCount > n.n.ConntrackMax {
			return r.unknown(n, nil, k, Where{Layer: "conntrack", Cause: CauseConntrackFull, Detail: "the connection table of " + n.n.ID + " is full"})
		}
		k.conn, k.dir, k.isNew = r.entries.new(), dirOrig, true
		k.conn.orig, k.conn.reply, k.conn.zone, k.conn.helper = t, t.invert(), z, helper
		k.conn.count(k)
		k.syncCT("new")
		return nil
	}
	k.conn, k.dir, k.isNew = c, dir, false
	c.count(k)
	switch {
	case dir == dirReply:
		c.seenReply = true
		k.syncCT("established")
	case c.seenReply:
		k.syncCT("established")
	default:
		k.isNew = true
		k.syncCT("new")
	}
	return nil
}

// count is net/netfilter/nf_conntrack_core.c:nf_ct_acct_update.
func (c *conn) count(k *skb) {
	c.packets[k.dir]++
	c.bytes[k.dir] += uint64(k.Len)
}

// neverTracked are multicast listener and neighbour discovery messages
// (noct_valid_new, net/netfilter/nf_conntrack_proto_icmpv6.c).
func neverTracked(typ uint8) bool { return typ >= 130 && typ <= 136 || typ == 143 }

// startsConn says whether a packet that belongs to nothing may begin a
// connection (tcp_new, nf_conntrack_icmp_packet and the like).
func startsConn(k *skb) bool {
	switch k.Proto {
	case snap.IPProtoTCP:
		// From the state NONE a SYN-ACK and a RST lead to INVALID; a bare ACK is
		// taken up (nf_conntrack_tcp_loose).
		return k.TCPFlags&rules.TCPRST == 0 && k.TCPFlags&(rules.TCPSYN|rules.TCPACK) != rules.TCPSYN|rules.TCPACK
	case snap.IPProtoICMP:
		return k.ICMPType == icmpEcho || k.ICMPType == 13 || k.ICMPType == 15 || k.ICMPType == 17
	case snap.IPProtoICMPv6:
		return k.ICMPType == icmp6Echo
	}
	return true
}

// syncCT shows the entry to the rules.
func (k *skb) syncCT(state string) {
	c := k.conn
	k.CT = rules.CT{
		State: state, Reply: k.dir == dirReply, SNAT: c.snat, DNAT: c.dnat,
		SeenReply: c.seenReply, Assured: c.assured, Confirmed: c.confirmed, Mark: c.mark,
		Orig: c.orig.snapTuple(), ReplyTuple: c.reply.snapTuple(), Zone: c.zone.id, ZoneDir: c.zone.dir, Helper: c.helper, Label: c.label,
		Packets: c.packets, Bytes: c.bytes, Counted: c.fromSnapshot == 0,
	}
}

// keepCT takes over what a rule wrote into the entry.
func (k *skb) keepCT() {
	if k.conn == nil {
		return
	}
	k.conn.mark, k.conn.label, k.conn.helper = k.CT.Mark, k.CT.Label, k.CT.Helper
	k.CT.SNAT, k.CT.DNAT, k.CT.ReplyTuple = k.conn.snat, k.conn.dnat, k.conn.reply.snapTuple()
}

// confirm is nf_conntrack_confirm: the entry of a packet that passed its last
// hook is there for its answers.
func (r *run) confirm(n *netns, k *skb) {
	if k.conn == nil || k.conn.confirmed {
		return
	}
	k.conn.confirmed = true
	k.CT.Confirmed = true
	r.conns = append(r.conns, nsConn{n, k.conn})
}

// dropCT is nf_reset_ct: another namespace starts anew.
func (k *skb) dropCT() {
	k.conn, k.dir, k.isNew, k.CT = nil, 0, false, rules.CT{}
}
