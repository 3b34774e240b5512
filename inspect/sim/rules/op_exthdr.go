package rules

import (
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// tcpMSS is the number of TCP's maximum segment size option (RFC 9293, 3.2).
const tcpMSS = 2

// exthdrOp reads, writes or strips an extension header or option
// (net/netfilter/nft_exthdr.c). Packets have no IP options and no extension
// headers here but the fragment header.
type exthdrOp struct{ *snap.Exthdr }

func (o exthdrOp) exec(m *machine) ctl {
	if o.Dreg == snap.NoReg {
		return o.write(m)
	}
	p := &m.pkt
	switch o.Op {
	case "tcpopt":
		if p.Proto != snap.IPProtoTCP || p.Frag || !p.isIP() {
			return o.absent(m)
		}
		if o.Type == tcpMSS {
			if p.TCPMSS == 0 || p.TCPFlags&TCPSYN == 0 {
				return o.absent(m)
			}
			return o.found(m, []byte{tcpMSS, 4, byte(p.TCPMSS >> 8), byte(p.TCPMSS)})
		}
		return o.unsure(m, "TCP option "+strconv.Itoa(int(o.Type)))
	case "ipv6":
		if p.Family != snap.IPv6 {
			return o.absent(m)
		}
		if o.Type == 44 && p.Frag {
			if o.Present {
				m.store8(o.Dreg, 1)
				return goOn
			}
			v := m.header()
			var b, k [64]byte
			if o.Len <= 0 || o.Len > len(b) {
				return m.unknown("exthdr")
			}
			v.get(40+o.Offset, b[:o.Len], k[:o.Len])
			m.storeMasked(o.Dreg, b[:o.Len], k[:o.Len], "the fragment header")
			return goOn
		}
		return o.absent(m)
	case "ipv4":
		return o.absent(m)
	case "sctp":
		if p.Proto != snap.IPProtoSCTP || p.Frag {
			return o.absent(m)
		}
		return o.unsure(m, "SCTP chunk "+strconv.Itoa(int(o.Type)))
	}
	if p.Proto != snap.IPProtoDCCP && o.Op == "dccp" {
		return o.absent(m)
	}
	return o.unsure(m, o.Op+" option "+strconv.Itoa(int(o.Type)))
}

// absent is how the expression ends when there is no such header.
func (o exthdrOp) absent(m *machine) ctl {
	if !o.Present {
		return leave
	}
	m.store8(o.Dreg, 0)
	return goOn
}

// found stores a part of the header.
func (o exthdrOp) found(m *machine, b []byte) ctl {
	switch {
	case o.Present:
		m.store8(o.Dreg, 1)
	case o.Offset < 0 || o.Len < 0 || o.Offset+o.Len > len(b):
		return leave
	default:
		m.store(o.Dreg, b[o.Offset:o.Offset+o.Len])
	}
	return goOn
}

// unsure is a header that may be there or not.
func (o exthdrOp) unsure(m *machine, what string) ctl {
	if o.Present {
		m.storeMasked(o.Dreg, make([]byte, 4), []byte{0xfe, 0xff, 0xff, 0xff}, "whether there is "+what)
		return goOn
	}
	m.forget(o.Dreg, o.Len, what)
	return m.ask(unsure("whether there is " + what))
}

// write changes an option; only the maximum segment size is one that Packet
// keeps, and it is never raised (nft_exthdr_tcp_set_eval).
func (o exthdrOp) write(m *machine) ctl {
	p := &m.pkt
	if o.Op != "tcpopt" {
		return goOn
	}
	if p.Proto != snap.IPProtoTCP || p.Frag {
		return leave
	}
	if o.Type != tcpMSS || p.TCPMSS == 0 || p.TCPFlags&TCPSYN == 0 {
		return goOn
	}
	if o.Sreg == snap.NoReg {
		p.TCPMSS = 0
		m.changed()
		return goOn
	}
	if b, ok := m.loadKnown(o.Sreg, 2); ok && o.Len == 2 {
		p.TCPMSS = min(p.TCPMSS, be16(b))
	}
	return goOn
}
