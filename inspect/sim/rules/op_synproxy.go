package rules

import "github.com/netdoctor/netdoctor/inspect/snap"

// synproxy answers SYNs itself and checks the ACK that follows
// (net/netfilter/nft_synproxy.c).
func synproxy(m *machine) ctl {
	if m.pkt.Proto != snap.IPProtoTCP || m.pkt.Frag {
		return leave
	}
	if m.pkt.TCPFlags&(TCPSYN|TCPACK) == 0 {
		return goOn
	}
	return m.unknown("synproxy, which answers for the server,")
}
