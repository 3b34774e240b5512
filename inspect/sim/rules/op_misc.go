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
	case protoICMP:
		switch p.ICMPType {
		case 3, 4, 5, 11, 12:
			return true
		}
	case protoICMPv6:
		return p.ICMPType < 128
	}
	return false
}

// rejectReset rejects with a TCP RST, which answers only TCP, and no RST
// (net/ipv4/netfilter/nf_reject_ipv4.c:nf_send_reset).
func (m *machine) rejectReset() ctl {
	if m.pkt.Proto != protoTCP || m.pkt.Frag || m.pkt.TCPFlags&4 != 0 || !m.pkt.isIP() {
		return m.finish(ending{Verdict: "drop"})
	}
	return m.finish(ending{Verdict: "reject", RejectWith: "tcp-reset"})
}

// queueOp hands the packet to user space (net/netfilter/nft_queue.c).
type queueOp struct{ *snap.Queue }

func (o queueOp) exec(m *machine) ctl { return m.queue(o.Num, o.Total, o.Bypass) }

func (m *machine) queue(num, total uint16, bypass bool) ctl {
	which := "queue " + strconv.Itoa(int(num))
	if total > 1 {
		which += " to " + strconv.Itoa(int(num)+int(total)-1)
	}
	if m.unread(num, total) {
		// nf_queue (net/netfilter/nf_queue.c): -ESRCH of nfqnl_enqueue_packet.
		if bypass {
			return m.finish(ending{Verdict: "accept"})
		}
		return m.finish(ending{Verdict: "drop", Why: " hands it to " + which + ", which no program reads"})
	}
	s := "the program at " + which + " decides"
	if bypass {
		s += ", and without one the packet is accepted"
	} else {
		s += ", and without one the packet is dropped"
	}
	return m.finish(ending{Verdict: "queue", Unknown: s})
}

// unread says whether for certain no program reads from any of the queues.
func (m *machine) unread(num, total uint16) bool {
	for i := range max(total, 1) {
		if taken, known := m.env.Queued(num + i); taken || !known {
			return false
		}
	}
	return true
}

// fwdOp sends the packet out of another device (net/netfilter/nft_fwd_netdev.c).
type fwdOp struct{ *snap.Fwd }

func (o fwdOp) exec(m *machine) ctl {
	b := ending{Verdict: "stolen"}
	if v, unknown, ok := m.load32(o.Dev); ok && unknown == 0 {
		b.FwdTo = int(v)
	}
	return m.finish(b)
}

// synproxy answers SYNs itself and checks the ACK that follows
// (net/netfilter/nft_synproxy.c).
func synproxy(m *machine) ctl {
	if m.pkt.Proto != protoTCP || m.pkt.Frag {
		return leave
	}
	if m.pkt.TCPFlags&(2|16) == 0 {
		return goOn
	}
	return m.unknown("synproxy, which answers for the server,")
}
