package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// Families as nfgenmsg.nfgen_family gives them (NFPROTO_*,
// include/uapi/linux/netfilter.h).
const (
	nfProtoInet   = 1
	nfProtoIPv4   = 2
	nfProtoARP    = 3
	nfProtoNetdev = 5
	nfProtoBridge = 7
	nfProtoIPv6   = 10
)

// FamilyOf is the family with that number; "" for one that this program does
// not know.
func FamilyOf(n uint8) snap.Family {
	switch n {
	case nfProtoInet:
		return snap.Inet
	case nfProtoIPv4:
		return snap.IPv4
	case nfProtoARP:
		return snap.ARP
	case nfProtoNetdev:
		return snap.Netdev
	case nfProtoBridge:
		return snap.BridgeFamily
	case nfProtoIPv6:
		return snap.IPv6
	}
	return ""
}

// NFProto is the number of a family, 0 for none.
func NFProto(f snap.Family) uint8 {
	for _, n := range []uint8{nfProtoInet, nfProtoIPv4, nfProtoARP, nfProtoNetdev, nfProtoBridge, nfProtoIPv6} {
		if FamilyOf(n) == f {
			return n
		}
	}
	return 0
}

// family reads a protocol family; absent or 0 is "".
func (r *values) family(i int) snap.Family {
	n := r.u32(i)
	if n == 0 {
		return ""
	}
	f := FamilyOf(uint8(min(n, 255)))
	if f == "" {
		r.bad = true
	}
	return f
}

// hookName is the name of a hook of a family, "" for an unknown one.
func hookName(f snap.Family, n uint32) string {
	list := inetHooks
	switch f {
	case snap.BridgeFamily:
		list = bridgeHooks
	case snap.ARP:
		list = arpHooks
	case snap.Netdev:
		list = netdevHooks
	}
	if n >= uint32(len(list)) {
		return ""
	}
	return list[n]
}
