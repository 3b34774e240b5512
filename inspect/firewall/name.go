package firewall

import "strconv"

// The names of nf_tables' numbers, in the order of their enums in
// include/uapi/linux/netfilter/nf_tables.h. They are constants in all but Go's
// word for it: nothing writes to them.
var (
	metaKeys = []string{
		"len", "protocol", "priority", "mark", "iif", "oif", "iifname", "oifname", "iiftype", "oiftype",
		"skuid", "skgid", "nftrace", "rtclassid", "secmark", "nfproto", "l4proto", "ibrname", "obrname", "pkttype",
		"cpu", "iifgroup", "oifgroup", "cgroup", "random", "secpath", "iifkind", "oifkind", "ibrpvid", "ibrvproto",
		"time", "day", "hour", "sdif", "sdifname", "broute",
	}
	ctKeys = []string{
		"state", "direction", "status", "mark", "secmark", "expiration", "helper", "l3proto", "src", "dst",
		"proto", "proto-src", "proto-dst", "label", "pkts", "bytes", "avgpkt", "zone", "event",
		"src-ip", "dst-ip", "src-ip6", "dst-ip6", "id",
	}
	rtKeys       = []string{"classid", "nexthop4", "nexthop6", "tcpmss", "xfrm"}
	socketKeys   = []string{"transparent", "mark", "wildcard", "cgroupv2"}
	fibResults   = []string{"", "oif", "oifname", "type"}
	fibFlags     = []string{"saddr", "daddr", "mark", "iif", "oif", "present"}
	payloadBases = []string{"ll", "nh", "th", "inner"}
	cmpOps       = []string{"==", "!=", "<", "<=", ">", ">="}
	bitwiseOps   = []string{"mask-xor", "<<", ">>", "&", "|", "^"}
	byteorderOps = []string{"ntoh", "hton"}
	dynsetOps    = []string{"add", "update", "delete"}
	exthdrOps    = []string{"ipv6", "tcpopt", "ipv4", "sctp", "dccp"}
	natTypes     = []string{"snat", "dnat"}
	rejectTypes  = []string{"icmp", "tcp-reset", "icmpx"}
	numgenModes  = []string{"inc", "random"}
	hashTypes    = []string{"jhash", "symhash"}
	// natFlags are NF_NAT_RANGE_* (include/uapi/linux/netfilter/nf_nat.h).
	natFlags = []string{"map-ips", "proto-specified", "random", "persistent", "fully-random", "proto-offset", "netmap"}
	// objectTypes are NFT_OBJECT_*.
	objectTypes = []string{
		"", "counter", "quota", "ct-helper", "limit", "connlimit", "tunnel", "ct-timeout", "secmark", "ct-expect", "synproxy",
	}
	inetHooks   = []string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}
	bridgeHooks = []string{"prerouting", "input", "forward", "output", "postrouting", "brouting"}
	arpHooks    = []string{"input", "output", "forward"}
	netdevHooks = []string{"ingress", "egress"}
)

// nameOf is the n-th of a list of names, and "key:N" beyond it.
func nameOf(list []string, n uint32) string {
	if n < uint32(len(list)) && list[n] != "" {
		return list[n]
	}
	return "key:" + strconv.FormatUint(uint64(n), 10)
}

// oneOf reads an enum; a value without a name is bad.
func (r *values) oneOf(i int, list []string) string {
	n := r.u32(i)
	if n >= uint32(len(list)) || list[n] == "" {
		r.bad = true
		return ""
	}
	return list[n]
}

// flags reads a bit set; a bit without a name is bad.
func (r *values) flags(i int, names []string) []string {
	f := r.u32(i)
	if f == 0 {
		return nil
	}
	list, ok := flagNames(f, names)
	if !ok {
		r.bad = true
	}
	return list
}

// flagNames lists the names of the bits that are set; ok is false when one has
// no name.
func flagNames(f uint32, names []string) (list []string, ok bool) {
	for i, name := range names {
		if f&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list, f>>len(names) == 0
}
