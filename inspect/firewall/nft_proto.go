package firewall

// header is a protocol header with the fields that nft has names for.
type header struct {
	name   string
	base   int // of baseLL …
	fields []field
}

// Bases of headers, in the order of nftables' enum proto_bases.
const (
	baseNone = iota
	baseLL
	baseNH
	baseTH
	baseInner
)

// field is one field of a header; offset and size are in bits.
type field struct {
	name         string
	offset, size int
	typ          uint32
	// upper: its value says what the next header is.
	upper bool
	// icmp: only with that ICMP type, plus one; 0 with any.
	icmp int
}

// headerOf gives the header of that name; nil for an unknown one
// (nftables: proto.c).
func headerOf(name string) *header {
	switch name {
	case "ether":
		return &header{name, baseLL, []field{
			{"daddr", 0, 48, typeEtherAddr, false, 0}, {"saddr", 48, 48, typeEtherAddr, false, 0}, {"type", 96, 16, typeEtherType, true, 0},
		}}
	case "vlan": // 14 bytes into the frame
		return &header{name, baseLL, []field{
			{"pcp", 112, 3, typeInteger, false, 0},
			{"dei", 115, 1, typeInteger, false, 0},
			{"id", 116, 12, typeInteger, false, 0},
			{"type", 128, 16, typeEtherType, true, 0},
		}}
	case "arp":
		return &header{name, baseNH, []field{
			{"htype", 0, 16, typeInteger, false, 0},
			{"ptype", 16, 16, typeEtherType, false, 0},
			{"hlen", 32, 8, typeInteger, false, 0},
			{"plen", 40, 8, typeInteger, false, 0},
			{"operation", 48, 16, typeARPOp, false, 0},
			{"saddr ether", 64, 48, typeEtherAddr, false, 0},
			{"saddr ip", 112, 32, typeIPAddr, false, 0},
			{"daddr ether", 144, 48, typeEtherAddr, false, 0},
			{"daddr ip", 192, 32, typeIPAddr, false, 0},
		}}
	case "ip":
		return &header{name, baseNH, []field{
			{"version", 0, 4, typeInteger, false, 0},
			{"hdrlength", 4, 4, typeInteger, false, 0},
			{"dscp", 8, 6, typeDSCP, false, 0},
			{"ecn", 14, 2, typeECN, false, 0},
			{"length", 16, 16, typeInteger, false, 0},
			{"id", 32, 16, typeInteger, false, 0},
			{"frag-off", 48, 16, typeInteger, false, 0},
			{"ttl", 64, 8, typeInteger, false, 0},
			{"protocol", 72, 8, typeInetProto, true, 0},
			{"checksum", 80, 16, typeInteger, false, 0},
			{"saddr", 96, 32, typeIPAddr, false, 0},
			{"daddr", 128, 32, typeIPAddr, false, 0},
		}}
	case "ip6":
		return &header{name, baseNH, []field{
			{"version", 0, 4, typeInteger, false, 0},
			{"dscp", 4, 6, typeDSCP, false, 0},
			{"ecn", 10, 2, typeECN, false, 0},
			{"flowlabel", 12, 20, typeInteger, false, 0},
			{"length", 32, 16, typeInteger, false, 0},
			{"nexthdr", 48, 8, typeInetProto, true, 0},
			{"hoplimit", 56, 8, typeInteger, false, 0},
			{"saddr", 64, 128, typeIP6Addr, false, 0},
			{"daddr", 192, 128, typeIP6Addr, false, 0},
		}}
	}
	return transportOf(name)
}

func transportOf(name string) *header {
	ports := []field{{"sport", 0, 16, typeInetServ, false, 0}, {"dport", 16, 16, typeInetServ, false, 0}}
	switch name {
	case "th":
		return &header{name, baseTH, ports}
	case "tcp":
		return &header{name, baseTH, append(ports,
			field{"sequence", 32, 32, typeInteger, false, 0}, field{"ackseq", 64, 32, typeInteger, false, 0}, field{"doff", 96, 4, typeInteger, false, 0},
			field{"reserved", 100, 4, typeInteger, false, 0}, field{"flags", 104, 8, typeTCPFlag, false, 0}, field{"window", 112, 16, typeInteger, false, 0},
			field{"checksum", 128, 16, typeInteger, false, 0}, field{"urgptr", 144, 16, typeInteger, false, 0})}
	case "udp":
		return &header{name, baseTH, append(ports, field{"length", 32, 16, typeInteger, false, 0}, field{"checksum", 48, 16, typeInteger, false, 0})}
	case "udplite":
		return &header{name, baseTH, append(ports, field{"csumcov", 32, 16, typeInteger, false, 0}, field{"checksum", 48, 16, typeInteger, false, 0})}
	case "sctp":
		return &header{name, baseTH, append(ports, field{"vtag", 32, 32, typeInteger, false, 0}, field{"checksum", 64, 32, typeInteger, false, 0})}
	case "dccp":
		return &header{name, baseTH, append(ports, field{"type", 67, 4, typeDCCPPkt, false, 0})}
	case "icmp":
		return &header{name, baseTH, []field{
			{"type", 0, 8, typeICMPType, true, 0},
			{"code", 8, 8, typeICMPCode, false, 0},
			{"checksum", 16, 16, typeInteger, false, 0},
			{"mtu", 48, 16, typeInteger, false, 1 + 3},
			{"gateway", 32, 32, typeInteger, false, 1 + 5},
			{"id", 32, 16, typeInteger, false, 1 + 8},
			{"sequence", 48, 16, typeInteger, false, 1 + 8},
		}}
	case "icmpv6":
		return &header{name, baseTH, []field{
			{"type", 0, 8, typeICMP6Type, true, 0},
			{"code", 8, 8, typeICMP6Code, false, 0},
			{"checksum", 16, 16, typeInteger, false, 0},
			{"parameter-problem", 32, 32, typeInteger, false, 1 + 4},
			{"mtu", 32, 32, typeInteger, false, 1 + 2},
			{"max-delay", 32, 16, typeInteger, false, 1 + 130},
			{"id", 32, 16, typeInteger, false, 1 + 128},
			{"sequence", 48, 16, typeInteger, false, 1 + 128},
		}}
	case "igmp":
		return &header{name, baseTH, []field{
			{"type", 0, 8, typeIGMPType, false, 0}, {"mrt", 8, 8, typeInteger, false, 0}, {"checksum", 16, 16, typeInteger, false, 0}, {"group", 32, 32, typeIPAddr, false, 0},
		}}
	case "ah":
		return &header{name, baseTH, []field{
			{"hdrlength", 8, 8, typeInteger, false, 0}, {"reserved", 16, 16, typeInteger, false, 0}, {"spi", 32, 32, typeInteger, false, 0}, {"sequence", 64, 32, typeInteger, false, 0},
		}}
	case "esp":
		return &header{name, baseTH, []field{{"spi", 0, 32, typeInteger, false, 0}, {"sequence", 32, 32, typeInteger, false, 0}}}
	case "comp":
		return &header{name, baseTH, []field{{"flags", 8, 8, typeInteger, false, 0}, {"cpi", 16, 16, typeInteger, false, 0}}}
	}
	return nil
}

// transportName is nft's name of a transport header by protocol; "" for one
// that it has none for.
func transportName(proto uint64) string {
	switch proto {
	case 1:
		return "icmp"
	case 2:
		return "igmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 33:
		return "dccp"
	case 50:
		return "esp"
	case 51:
		return "ah"
	case 58:
		return "icmpv6"
	case 108:
		return "comp"
	case 132:
		return "sctp"
	case 136:
		return "udplite"
	}
	return ""
}

// networkName is the network header by EtherType.
func networkName(etherType uint64) string {
	switch etherType {
	case 0x0800:
		return "ip"
	case 0x0806:
		return "arp"
	case 0x86dd:
		return "ip6"
	}
	return ""
}

// at finds the field that lies exactly there; icmp is the ICMP type that the
// rule has matched, plus one, or 0.
func (h *header) at(offset, size, icmp int) *field {
	if h == nil {
		return nil
	}
	for i := range h.fields {
		f := &h.fields[i]
		if f.offset != offset || f.size != size {
			continue
		}
		if f.icmp != 0 && icmp != 0 && f.icmp != icmp && !(echo(h.name, f.icmp) && echo(h.name, icmp)) {
			continue
		}
		return f
	}
	return nil
}

// echo says that an ICMP type, plus one, is an echo request or reply.
func echo(header string, icmp int) bool {
	if header == "icmp" {
		return icmp == 1 || icmp == 9
	}
	return icmp == 129 || icmp == 130
}
