package rules

import (
	"net/netip"
	"slices"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// target compiles an xt target; the op is nil for one that goes on with the
// next rule and changes nothing that decides a packet's way. ok is false for
// one that is not known.
func target(v any) (o op, ok bool) {
	switch v := v.(type) {
	case *fw.LogTarget, *fw.NFLogTarget, *fw.AuditTarget, *fw.TraceTarget, *fw.ChecksumTarget, *fw.TeeTarget, *fw.EbLogTarget:
		return nil, true
	case *fw.RejectTarget:
		return opFunc(func(m *machine) ctl { return m.xtReject(v.With) }), true
	case *fw.NATTarget:
		return opFunc(func(m *machine) ctl { return m.xtNAT(v) }), true
	case *fw.NFQueueTarget:
		return opFunc(func(m *machine) ctl { return m.queue(v.Num, v.Total, v.Bypass) }), true
	case *fw.TProxyTarget:
		return opFunc(func(m *machine) ctl { return m.xtTproxy(v) }), true
	case *fw.SynproxyTarget:
		return opFunc(func(m *machine) ctl {
			if c := synproxy(m); c != leave {
				return c
			}
			return goOn
		}), true
	}
	if f := change(v); f != nil {
		return opFunc(func(m *machine) ctl { f(m); return goOn }), true
	}
	if f := connChange(v); f != nil {
		return opFunc(f), true
	}
	o = ebTarget(v)
	return o, o != nil
}

// change compiles targets that change the packet.
func change(v any) func(m *machine) {
	switch v := v.(type) {
	case *fw.MarkTarget:
		return func(m *machine) {
			m.pkt.Mark, m.pkt.MarkUnknown = m.pkt.Mark&^v.Mask^v.Value, m.pkt.MarkUnknown&^v.Mask
		}
	case *fw.TTLTarget:
		return func(m *machine) {
			ttl := int(m.pkt.TTL)
			switch v.Op {
			case "set":
				ttl = int(v.Value)
			case "inc":
				ttl = min(ttl+int(v.Value), 255)
			case "dec":
				ttl = max(ttl-int(v.Value), 0)
			}
			m.pkt.TTL = uint8(ttl)
			m.changed()
		}
	case *fw.DSCPTarget:
		return func(m *machine) { m.pkt.TOS = m.pkt.TOS&3 | v.DSCP<<2; m.changed() }
	case *fw.TOSTarget:
		return func(m *machine) { m.pkt.TOS = m.pkt.TOS&^v.Mask ^ v.Value; m.changed() }
	case *fw.ECNTarget:
		return func(m *machine) {
			if v.IP {
				m.pkt.TOS = m.pkt.TOS&^3 | v.ECT&3
			}
			if m.pkt.Proto == snap.IPProtoTCP && v.ECE {
				m.pkt.TCPFlags = m.pkt.TCPFlags&^TCPECE | uint8(bit16(v.ECEValue, TCPECE))
			}
			if m.pkt.Proto == snap.IPProtoTCP && v.CWR {
				m.pkt.TCPFlags = m.pkt.TCPFlags&^TCPCWR | uint8(bit16(v.CWRValue, TCPCWR))
			}
			m.changed()
		}
	case *fw.ClassifyTarget:
		return func(m *machine) { m.pkt.Priority = v.Priority }
	case *fw.TCPMSSTarget:
		return func(m *machine) { m.xtMSS(v) }
	case *fw.SetTarget:
		return func(m *machine) {
			m.touch(ipsetName(v.Add.Index), netip.Addr{}, false)
			m.touch(ipsetName(v.Del.Index), netip.Addr{}, true)
			if v.MapMark {
				m.pkt.Mark, m.pkt.MarkUnknown = 0, ^uint32(0)
			}
		}
	}
	return nil
}

// xtMSS lowers the maximum segment size of a SYN, and never raises it
// (net/netfilter/xt_TCPMSS.c). Of the path only the devices' MTU is known.
func (m *machine) xtMSS(v *fw.TCPMSSTarget) {
	p := &m.pkt
	if p.Proto != snap.IPProtoTCP || p.Frag || p.TCPFlags&TCPSYN == 0 {
		return
	}
	mss := v.MSS
	head := 40
	if p.Family == snap.IPv6 {
		head = 60
	}
	if v.Clamp {
		mtu := 65535
		for _, i := range []int{p.Iif, p.Oif} {
			if l := m.env.Link(i); i != 0 && l != nil && l.MTU > head {
				mtu = min(mtu, l.MTU)
			}
		}
		mss = uint16(mtu - head)
	}
	if p.TCPMSS == 0 || mss < p.TCPMSS {
		p.TCPMSS = mss
	}
}

// connChange compiles targets that change the connection or its tracking.
func connChange(v any) func(m *machine) ctl {
	switch v := v.(type) {
	case *fw.ConnmarkTarget:
		return func(m *machine) ctl { m.xtConnmark(v); return goOn }
	case *fw.CTTarget:
		return func(m *machine) ctl {
			c := &m.pkt.CT
			switch {
			case c.State != "":
				return goOn
			case v.Notrack:
				return notrack(m)
			case v.ZoneMark && m.pkt.MarkUnknown&0xffff != 0:
				return m.unknown("a conntrack zone out of the mark")
			case v.ZoneMark:
				c.Zone = uint16(m.pkt.Mark)
			case v.Zone != 0:
				c.Zone = v.Zone
			}
			switch { // xt_ct_flags_to_dir
			case v.ZoneOrig && !v.ZoneReply:
				c.ZoneDir = "original"
			case v.ZoneReply && !v.ZoneOrig:
				c.ZoneDir = "reply"
			}
			if v.Helper != "" {
				c.Helper = v.Helper
			}
			return goOn
		}
	}
	return nil
}

// xtConnmark is net/netfilter/xt_connmark.c:connmark_tg_shift.
func (m *machine) xtConnmark(v *fw.ConnmarkTarget) {
	p := &m.pkt
	if !p.CT.tracked() {
		return
	}
	shift := func(x uint32) uint32 {
		if v.ShiftRight {
			return x >> v.ShiftBits
		}
		return x << v.ShiftBits
	}
	switch v.Mode {
	case "set":
		p.CT.Mark, p.CT.MarkUnknown = shift(p.CT.Mark&^v.CTMask^v.CTMark), shift(p.CT.MarkUnknown&^v.CTMask)
	case "save":
		u := shift(p.MarkUnknown & v.NFMask)
		p.CT.Mark, p.CT.MarkUnknown = p.CT.Mark&^v.CTMask^shift(p.Mark&v.NFMask), p.CT.MarkUnknown&^v.CTMask|u
		p.CT.Mark &^= p.CT.MarkUnknown
	case "restore":
		u := shift(p.CT.MarkUnknown & v.CTMask)
		p.Mark, p.MarkUnknown = p.Mark&^v.NFMask^shift(p.CT.Mark&v.CTMask), p.MarkUnknown&^v.NFMask|u
		p.Mark &^= p.MarkUnknown
	}
}

// xtReject is net/ipv4/netfilter/ipt_REJECT.c and its twin for IPv6.
func (m *machine) xtReject(with string) ctl {
	if with == "tcp-reset" {
		return m.rejectReset()
	}
	codes := map[string]int{
		"icmp-net-unreachable": 0, "icmp-host-unreachable": 1, "icmp-proto-unreachable": 2, "icmp-port-unreachable": 3,
		"icmp-net-prohibited": 9, "icmp-host-prohibited": 10, "icmp-admin-prohibited": 13,
		"icmp6-no-route": 0, "icmp6-adm-prohibited": 1, "icmp6-not-neighbour": 2, "icmp6-addr-unreachable": 3,
		"icmp6-port-unreachable": 4, "icmp6-policy-fail": 5, "icmp6-reject-route": 6,
	}
	if code, ok := codes[with]; ok {
		return m.rejectICMP(code)
	}
	return m.finish(ending{Verdict: "drop"}) // "echo-reply" answers nothing any more
}

// xtNAT is net/netfilter/xt_nat.c and xt_MASQUERADE.c, xt_REDIRECT.c, xt_NETMAP.c.
func (m *machine) xtNAT(v *fw.NATTarget) ctl {
	n := NAT{Random: v.Random || v.FullyRandom}
	if v.HasPort {
		n.PortMin, n.PortMax = v.Port.Min, v.Port.Max
	}
	if v.HasPort && v.PortOffset && v.Port.Max >= v.Port.Min {
		// nf_nat_core.c:nf_nat_l4proto_unique_tuple, NF_NAT_RANGE_PROTO_OFFSET
		size := uint32(v.Port.Max) - uint32(v.Port.Min) + 1
		n.PortMin = v.Port.Min + uint16(uint32(m.pkt.Dport-v.BasePort)%size)
		n.PortMax = n.PortMin
	}
	if v.HasAddr {
		n.AddrMin, n.AddrMax = v.AddrMin, v.AddrMax
	}
	switch v.Kind {
	case "DNAT":
		n.Kind = "dnat"
	case "SNAT":
		n.Kind, n.Src = "snat", true
	case "MASQUERADE":
		n.Kind, n.Src = "masquerade", true
	case "REDIRECT":
		n.Kind = "redirect"
	case "NETMAP":
		n.Src = !slices.Contains([]string{"prerouting", "output"}, m.base.Chain.Hook)
		n.AddrMin, n.AddrMax = v.AddrMin, v.AddrMax
		m.netmap(&n)
	default:
		return m.unknown("target " + v.Kind)
	}
	return m.mapped(n)
}

// xtTproxy is net/netfilter/xt_TPROXY.c: without a socket the packet is dropped.
func (m *machine) xtTproxy(v *fw.TProxyTarget) ctl {
	if m.pkt.Proto != snap.IPProtoTCP && m.pkt.Proto != snap.IPProtoUDP {
		return m.finish(ending{Verdict: "drop"})
	}
	addr, port := v.Addr, v.Port
	t := m.tproxyTo(addr, port)
	accepted := func(m *machine) {
		m.tproxy.addr = m.tproxyAddr(addr, port)
		m.pkt.Mark, m.pkt.MarkUnknown = m.pkt.Mark&^v.MarkMask^v.Mark, m.pkt.MarkUnknown&^v.MarkMask
		m.verdict = snap.Verdict{Code: "accept"}
	}
	if t == is(false) {
		return m.finish(ending{Verdict: "drop", Why: " hands it to a transparent proxy at " + m.tproxyAddr(addr, port).String() + ", where none listens"})
	}
	switch c := m.askThen(t, judge, leave, accepted); c {
	case leave:
		return m.finish(ending{Verdict: "drop"})
	case split:
		m.alts[1].ctl = judge
		m.alts[1].set = func(m *machine) { m.verdict = snap.Verdict{Code: "drop"} }
		return split
	default:
		return c
	}
}

// ebTarget compiles ebtables' own targets (net/bridge/netfilter/ebt_*.c).
func ebTarget(v any) op {
	ends := func(verdict string, act func(m *machine)) op {
		return opFunc(func(m *machine) ctl {
			act(m)
			m.verdict = snap.Verdict{Code: verdict}
			return judge
		})
	}
	switch v := v.(type) {
	case *fw.EbNATTarget:
		return ends(v.Verdict, func(m *machine) {
			if v.Kind == "dnat" {
				m.pkt.DstMAC = v.MAC
			} else {
				m.pkt.SrcMAC = v.MAC
			}
		})
	case *fw.EbMarkTarget:
		return ends(v.Verdict, func(m *machine) {
			p, x := &m.pkt, uint32(v.Mark)
			switch v.Op {
			case "set":
				p.Mark, p.MarkUnknown = x, 0
			case "or":
				p.Mark, p.MarkUnknown = p.Mark|x, p.MarkUnknown&^x
			case "and":
				p.Mark, p.MarkUnknown = p.Mark&x, p.MarkUnknown&x
			case "xor":
				p.Mark = (p.Mark ^ x) &^ p.MarkUnknown
			}
		})
	case *fw.EbRedirectTarget:
		return ends(v.Verdict, func(m *machine) {
			dev := m.pkt.Iif
			if m.base.Chain.Name != "BROUTING" {
				dev = m.bridgeOf(dev)
			}
			if l := m.env.Link(dev); l != nil {
				m.pkt.DstMAC = l.MAC
			}
			m.pkt.PktType = "host"
		})
	case *fw.EbARPReplyTarget:
		return opFunc(func(m *machine) ctl {
			switch {
			case m.pkt.Family != snap.ARP:
				return m.finish(ending{Verdict: "drop"})
			case m.pkt.ARPOp == 2:
				return goOn
			case m.pkt.ARPOp == 0:
				return m.unknown("arpreply to a packet whose operation is not known")
			}
			m.verdict = snap.Verdict{Code: v.Verdict}
			return judge
		})
	}
	return nil
}
