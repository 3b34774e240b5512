package firewall

// match decodes a match; nil for one that is not known.
func (d *blob) match(name string) any {
	switch name {
	case "tcp":
		return d.tcp()
	case "udp", "udplite":
		return d.udp()
	case "sctp":
		return d.sctp()
	case "dccp":
		return d.dccp()
	case "icmp", "icmp6":
		return d.icmp()
	case "multiport":
		return d.multiport()
	case "esp":
		return d.esp()
	case "ah":
		return d.ah()
	case "tcpmss":
		return d.tcpmss()
	case "conntrack":
		return d.conntrack()
	case "state":
		return d.state()
	case "connmark":
		return d.connmark()
	case "connbytes":
		return d.connbytes()
	case "connlimit":
		return d.connlimit()
	case "connlabel":
		return d.connlabel()
	case "helper":
		return d.helper()
	case "addrtype":
		return d.addrtype()
	case "iprange":
		return d.iprange()
	case "set":
		return d.set()
	case "rpfilter":
		return d.rpfilter()
	case "realm":
		return d.realm()
	case "policy":
		return d.policy()
	case "ipvs":
		return d.ipvs()
	case "mac":
		return d.mac()
	case "physdev":
		return d.physdev()
	case "pkttype":
		return d.pkttype()
	case "devgroup":
		return d.devgroup()
	}
	return d.match2(name)
}

// match2 decodes the matches on the packet's properties, its sender, its
// contents, and on chance and time.
func (d *blob) match2(name string) any {
	switch name {
	case "mark":
		return d.mark()
	case "length":
		return d.length()
	case "ttl", "hl":
		return d.ttl()
	case "dscp":
		return d.dscp()
	case "tos":
		return d.tos()
	case "ecn":
		return d.ecn()
	case "comment":
		return d.comment()
	case "owner":
		return d.owner()
	case "cgroup":
		return d.cgroup()
	case "cpu":
		return d.cpu()
	case "socket":
		return d.socket()
	case "string":
		return d.stringMatch()
	case "u32":
		return d.u32Match()
	case "bpf":
		return d.bpf()
	case "limit":
		return d.limit()
	case "hashlimit":
		return d.hashlimit()
	case "recent":
		return d.recent()
	case "quota":
		return d.quota()
	case "statistic":
		return d.statistic()
	case "time":
		return d.time()
	case "nfacct":
		return d.nfacct()
	case "cluster":
		return d.cluster()
	}
	return d.ebMatch(name)
}
