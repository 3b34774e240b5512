package firewall

// symbols are the words of a datatype by value, in the order that nft prints
// them (nftables: datatype.c, proto.c, ct.c, meta.c, fib.c). nil: it has none.
func symbols(typ uint32) map[uint64]string {
	switch typ {
	case typeNFProto:
		return map[uint64]string{nfProtoIPv4: "ipv4", nfProtoIPv6: "ipv6"}
	case typeEtherType:
		return map[uint64]string{0x0800: "ip", 0x0806: "arp", 0x86dd: "ip6", 0x8100: "8021q", 0x88a8: "8021ad"}
	case typeARPOp:
		return map[uint64]string{1: "request", 2: "reply", 3: "rrequest", 4: "rreply", 8: "inrequest", 9: "inreply", 10: "nak"}
	case typeICMPType:
		return map[uint64]string{
			0: "echo-reply", 3: "destination-unreachable", 4: "source-quench", 5: "redirect", 8: "echo-request",
			9: "router-advertisement", 10: "router-solicitation", 11: "time-exceeded", 12: "parameter-problem",
			13: "timestamp-request", 14: "timestamp-reply", 15: "info-request", 16: "info-reply",
			17: "address-mask-request", 18: "address-mask-reply",
		}
	case typeICMP6Type:
		return map[uint64]string{
			1: "destination-unreachable", 2: "packet-too-big", 3: "time-exceeded", 4: "parameter-problem",
			128: "echo-request", 129: "echo-reply", 130: "mld-listener-query", 131: "mld-listener-report", 132: "mld-listener-done",
			133: "nd-router-solicit", 134: "nd-router-advert", 135: "nd-neighbor-solicit", 136: "nd-neighbor-advert", 137: "nd-redirect",
			138: "router-renumbering", 141: "ind-neighbor-solicit", 142: "ind-neighbor-advert", 143: "mld2-listener-report",
		}
	case typeICMPCode:
		return map[uint64]string{
			0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable", 4: "frag-needed",
			9: "net-prohibited", 10: "host-prohibited", 13: "admin-prohibited",
		}
	case typeICMP6Code:
		return map[uint64]string{0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable", 5: "policy-fail", 6: "reject-route"}
	case typeICMPXCode:
		return map[uint64]string{0: "no-route", 1: "port-unreachable", 2: "host-unreachable", 3: "admin-prohibited"}
	case typeCTDir:
		return map[uint64]string{0: "original", 1: "reply"}
	case typePktType:
		return map[uint64]string{0: "host", 1: "broadcast", 2: "multicast", 3: "other"}
	case typeDSCP:
		return map[uint64]string{
			0: "cs0", 8: "cs1", 16: "cs2", 24: "cs3", 32: "cs4", 40: "cs5", 48: "cs6", 56: "cs7",
			10: "af11", 12: "af12", 14: "af13", 18: "af21", 20: "af22", 22: "af23",
			26: "af31", 28: "af32", 30: "af33", 34: "af41", 36: "af42", 38: "af43", 46: "ef",
		}
	case typeECN:
		return map[uint64]string{0: "not-ect", 1: "ect1", 2: "ect0", 3: "ce"}
	case typeFibAddr:
		return map[uint64]string{
			0: "unspec", 1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast",
			6: "blackhole", 7: "unreachable", 8: "prohibit",
		}
	case typeBoolean:
		return map[uint64]string{0: "missing", 1: "exists"}
	case typeIGMPType:
		return map[uint64]string{
			0x11: "membership-query", 0x12: "membership-report-v1", 0x16: "membership-report-v2",
			0x17: "leave-group", 0x22: "membership-report-v3",
		}
	case typeDCCPPkt:
		return map[uint64]string{
			0: "request", 1: "response", 2: "data", 3: "ack", 4: "dataack", 5: "closereq", 6: "close", 7: "reset", 8: "sync", 9: "syncack",
		}
	case typeARPHRD:
		return map[uint64]string{1: "ether", 512: "ppp", 768: "ipip", 769: "ipip6", 772: "loopback", 776: "sit", 778: "ipgre", 65534: "none"}
	case typeTimeDay:
		return map[uint64]string{0: `"Sunday"`, 1: `"Monday"`, 2: `"Tuesday"`, 3: `"Wednesday"`, 4: `"Thursday"`, 5: `"Friday"`, 6: `"Saturday"`}
	case typeDevGroup:
		return map[uint64]string{0: `"default"`}
	case typeRealm:
		return map[uint64]string{0: `"cosmos"`}
	}
	return nil
}

// bitNames are the words of a bit mask's bits, nil for a type that is none.
func bitNames(typ uint32) []string {
	switch typ {
	case typeTCPFlag:
		return []string{"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"}
	case typeCTState:
		return []string{"invalid", "established", "related", "new", "", "", "untracked"}
	case typeCTStatus:
		return []string{"expected", "seen-reply", "assured", "confirmed", "snat", "dnat", "", "", "", "dying"}
	case typeCTEvent:
		return []string{"new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "seqadj", "secmark", "label"}
	}
	return nil
}

// hostOrder says that values of the type are in the machine's byte order.
func hostOrder(typ uint32) bool {
	switch typ {
	case typeInteger, typeMark, typeIfindex, typeARPHRD, typeRealm, typeClassID, typeUID, typeGID, typeCTState, typeCTStatus, typeCTLabel,
		typeDevGroup, typeFibAddr, typeCTEvent, typeIfname, typeString, typeTime, typeTimeDate, typeTimeHour, typeCgroupV2, typeBitmask:
		return true
	}
	return false
}
