package rules

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// rejectOp answers with an error and drops (net/netfilter/nft_reject.c).
type rejectOp struct{ *snap.Reject }

func (o rejectOp) exec(m *machine) ctl {
	six := m.pkt.Family == snap.IPv6
	switch o.Type {
	case "tcp-reset":
		return m.rejectReset()
	case "icmpx":
		// NFT_REJECT_ICMPX_*: no route, port, host, administratively prohibited.
		codes := []int{0, 3, 1, 13}
		if six {
			codes = []int{0, 4, 3, 1}
		}
		if int(o.Code) >= len(codes) {
			return m.unknown("reject with icmpx " + strconv.Itoa(int(o.Code)))
		}
		return m.rejectICMP(codes[o.Code])
	case "icmp":
		return m.rejectICMP(int(o.Code))
	}
	return m.unknown("reject with " + o.Type)
}

// rejectICMP rejects with "destination unreachable" and a code. There is no
// answer to ICMP errors, to broadcasts and to later fragments
// (net/ipv4/icmp.c:__icmp_send), but the packet is dropped just the same.
func (m *machine) rejectICMP(code int) ctl {
	p := &m.pkt
	typ := 3
	if p.Family == snap.IPv6 {
		typ = 1
	}
	quiet := p.PktType == "broadcast" || p.PktType == "multicast"
	if f := m.base.Table.Family; f != snap.BridgeFamily && f != snap.Netdev {
		quiet = quiet || p.PktType == "otherhost"
	}
	if !p.isIP() || p.Frag || icmpError(p) || quiet {
		return m.finish(ending{Verdict: "drop"})
	}
	return m.finish(ending{Verdict: "reject", RejectWith: fmt.Sprintf("icmp:%d/%d", typ, code)})
}

func icmpError(p *Packet) bool {
	switch p.Proto {
	case snap.IPProtoICMP:
		switch p.ICMPType {
		case 3, 4, 5, 11, 12:
			return true
		}
	case snap.IPProtoICMPv6:
		return p.ICMPType < 128
	}
	return false
}

// rejectReset rejects with a TCP RST, which answers only TCP, and no RST
// (net/ipv4/netfilter/nf_reject_ipv4.c:nf_send_reset).
func (m *machine) rejectReset() ctl {
	if m.pkt.Proto != snap.IPProtoTCP || m.pkt.Frag || m.pkt.TCPFlags&TCPRST != 0 || !m.pkt.isIP() {
		return m.finish(ending{Verdict: "drop"})
	}
	return m.finish(ending{Verdict: "reject", RejectWith: "tcp-reset"})
}
