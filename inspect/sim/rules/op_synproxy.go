package rules

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
