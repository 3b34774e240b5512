package firewall

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nativeReader turns the nf_tables expressions that iptables-nft writes back
// into iptables' terms (iptables: nft-shared.c, nft_rule_to_iptables_command_state;
// which matches are native differs between versions).
type nativeReader struct {
	rule *iptRule
	v6   bool
	ns   *snap.Netns
	// load is what the last loading expression put into the register reg, and
	// mask what a bitwise did to it.
	load  snap.Expr
	reg   int
	mask  []byte
	imm   *snap.Immediate // the last constant loaded
	proto uint8
	tcp   *TCPMatch
	udp   *UDPMatch
}

// take handles one expression; false when iptables has no words for it.
func (n *nativeReader) take(e snap.Expr) bool {
	switch e := e.(type) {
	case *snap.Counter:
		return true
	case *snap.Immediate:
		n.imm = e
		return e.Verdict == nil
	case *snap.Meta:
		if e.Dreg == snap.NoReg {
			return n.set(e)
		}
		n.load, n.reg, n.mask = e, e.Dreg, nil
		return true
	case *snap.Payload:
		n.load, n.reg, n.mask = e, e.Dreg, nil
		return e.Dreg != snap.NoReg
	case *snap.Bitwise:
		if n.load == nil || e.Op != "mask-xor" || e.Sreg != n.reg || n.mask != nil {
			return false
		}
		n.reg, n.mask = e.Dreg, e.Mask
		return !hasBits(e.Xor)
	case *snap.Cmp:
		if n.load == nil || e.Sreg != n.reg {
			return false
		}
		return n.compare(e.Op, e.Data, e.Data)
	case *snap.Range:
		if n.load == nil || e.Sreg != n.reg || n.mask != nil || len(e.From) != len(e.To) {
			return false
		}
		return n.compare(e.Op, e.From, e.To)
	case *snap.Limit:
		return n.limit(e)
	case *snap.Log:
		if !e.NFLog {
			return false
		}
		n.rule.native = iptTarget{"NFLOG", &NFLogTarget{Len: e.Snaplen, CopyLen: e.Snaplen != 0, Group: e.Group, Threshold: e.QThresh, Prefix: e.Prefix}}
		return true
	}
	return false
}

// set: TRACE is "meta nftrace set 1".
func (n *nativeReader) set(e *snap.Meta) bool {
	if e.Key != "nftrace" || n.imm == nil || n.imm.Dreg != e.Sreg || !bytes.Equal(n.imm.Data, []byte{1}) {
		return false
	}
	n.rule.native = iptTarget{"TRACE", &TraceTarget{}}
	return true
}

func hasBits(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) != 0 }

// compare handles a comparison of what was loaded with from to to, which are
// the same for cmp.
func (n *nativeReader) compare(op string, from, to []byte) bool {
	same := bytes.Equal(from, to)
	invert := op == "!="
	if op != "==" && op != "!=" {
		return false // iptables writes ranges as such since 1.8.8, before as >= and <=
	}
	switch l := n.load.(type) {
	case *snap.Meta:
		return same && n.meta(l.Key, from, invert)
	case *snap.Payload:
		switch l.Base {
		case "nh":
			return same && n.header(l, from, invert)
		case "th":
			return n.transport(l, from, to, invert)
		}
	}
	return false
}

func (n *nativeReader) inv(what string, invert bool) {
	if invert {
		n.rule.entry.Inv = append(n.rule.entry.Inv, what)
	}
}

func (n *nativeReader) meta(key string, data []byte, invert bool) bool {
	e := &n.rule.entry
	if n.mask != nil && key != "mark" {
		return false
	}
	switch key {
	case "iifname", "oifname":
		name := cstring(data)
		if len(name) == len(data) && len(data) < 16 {
			name += "+"
		}
		if key == "iifname" {
			e.InIf = name
			n.inv("in", invert)
		} else {
			e.OutIf = name
			n.inv("out", invert)
		}
		return true
	case "l4proto":
		return n.setProto(data, invert)
	case "mark":
		if len(data) != 4 {
			return false
		}
		m := &MarkMatch{Mark: native.Uint32(data), Mask: 0xffffffff, Invert: invert}
		if len(n.mask) == 4 {
			m.Mask = native.Uint32(n.mask)
		}
		n.rule.matches = append(n.rule.matches, iptMatch{name: "mark", native: m})
		return true
	}
	return false
}

func (n *nativeReader) setProto(data []byte, invert bool) bool {
	if len(data) != 1 {
		return false
	}
	n.rule.entry.Proto = uint16(data[0])
	n.inv("proto", invert)
	if !invert {
		n.proto = data[0]
	}
	return true
}

// header handles the fields of the IP header.
func (n *nativeReader) header(l *snap.Payload, data []byte, invert bool) bool {
	e := &n.rule.entry
	size, src, dst, proto := 4, 12, 16, 9
	if n.v6 {
		size, src, dst, proto = 16, 8, 24, 6
	}
	switch {
	case l.Offset == src && l.Len <= size && len(data) == l.Len:
		e.Src, e.SrcAddr, e.SrcMask = n.prefix(data, size)
		n.inv("src", invert)
	case l.Offset == dst && l.Len <= size && len(data) == l.Len:
		e.Dst, e.DstAddr, e.DstMask = n.prefix(data, size)
		n.inv("dst", invert)
	case l.Offset == proto && l.Len == 1 && n.mask == nil:
		return n.setProto(data, invert)
	case !n.v6 && l.Offset == 6 && l.Len == 2 && bytes.Equal(n.mask, []byte{0x1f, 0xff}) && !hasBits(data):
		e.Fragment = true // frag-off & 0x1fff != 0
		n.inv("frag", !invert)
	default:
		return false
	}
	return true
}

// prefix makes an address of the size out of its leading bytes.
func (n *nativeReader) prefix(data []byte, size int) (p netip.Prefix, addr, mask []byte) {
	addr, mask = make([]byte, size), make([]byte, size)
	copy(addr, data)
	if n.mask != nil {
		copy(mask, n.mask)
	} else {
		for i := range data {
			mask[i] = 0xff
		}
	}
	return address(addr, mask)
}

// transport handles ports, TCP flags and ICMP types.
func (n *nativeReader) transport(l *snap.Payload, from, to []byte, invert bool) bool {
	if len(from) != l.Len {
		return false
	}
	ports := n.mask == nil && (n.proto == snap.IPProtoTCP || n.proto == snap.IPProtoUDP)
	switch {
	case ports && l.Len == 2 && l.Offset == 0:
		*n.src(invert) = span2(from, to)
	case ports && l.Len == 2 && l.Offset == 2:
		*n.dst(invert) = span2(from, to)
	case ports && l.Len == 4 && l.Offset == 0 && bytes.Equal(from, to) && !invert:
		*n.src(false) = span2(from[:2], from[:2])
		*n.dst(false) = span2(from[2:], from[2:])
	case n.proto == snap.IPProtoTCP && l.Len == 1 && l.Offset == 13 && bytes.Equal(from, to):
		m := n.tcpMatch()
		m.FlagMask, m.FlagCmp, m.InvFlags = 0xff, from[0], invert
		if len(n.mask) == 1 {
			m.FlagMask = n.mask[0]
		}
	case snap.IsICMP(n.proto) && l.Offset == 0 && l.Len <= 2 && n.mask == nil && bytes.Equal(from, to):
		m := &ICMPMatch{V6: n.v6, Type: from[0], CodeMax: 0xff, Invert: invert}
		if l.Len == 2 {
			m.CodeMin, m.CodeMax = from[1], from[1]
		}
		name := "icmp"
		if n.v6 {
			name = "icmp6"
		}
		n.rule.matches = append(n.rule.matches, iptMatch{name: name, native: m})
	default:
		return false
	}
	return true
}

func span2(from, to []byte) PortRange {
	return PortRange{binary.BigEndian.Uint16(from), binary.BigEndian.Uint16(to)}
}

// src and dst give the port field of the rule's tcp or udp match.
func (n *nativeReader) src(invert bool) *PortRange {
	if n.proto == snap.IPProtoTCP {
		n.tcpMatch().InvSrc = invert
		return &n.tcp.Src
	}
	n.udpMatch().InvSrc = invert
	return &n.udp.Src
}

func (n *nativeReader) dst(invert bool) *PortRange {
	if n.proto == snap.IPProtoTCP {
		n.tcpMatch().InvDst = invert
		return &n.tcp.Dst
	}
	n.udpMatch().InvDst = invert
	return &n.udp.Dst
}

func (n *nativeReader) tcpMatch() *TCPMatch {
	if n.tcp == nil {
		n.tcp = &TCPMatch{Src: PortRange{0, 0xffff}, Dst: PortRange{0, 0xffff}}
		n.rule.matches = append(n.rule.matches, iptMatch{name: "tcp", native: n.tcp})
	}
	return n.tcp
}

func (n *nativeReader) udpMatch() *UDPMatch {
	if n.udp == nil {
		n.udp = &UDPMatch{Src: PortRange{0, 0xffff}, Dst: PortRange{0, 0xffff}}
		n.rule.matches = append(n.rule.matches, iptMatch{name: "udp", native: n.udp})
	}
	return n.udp
}

// limit: iptables-nft writes --limit as a native limit.
func (n *nativeReader) limit(e *snap.Limit) bool {
	if e.Bytes || e.Over || e.Rate == 0 || e.Unit == 0 || e.Unit > 1<<32/limitScale {
		return false
	}
	n.rule.matches = append(n.rule.matches, iptMatch{name: "limit", native: &LimitMatch{Avg: uint32(e.Unit * limitScale / e.Rate), Burst: e.Burst}})
	return true
}
