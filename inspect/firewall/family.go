package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// Families as nfgenmsg.nfgen_family gives them (NFPROTO_*,
// include/uapi/linux/netfilter.h).
const (
	NFProtoInet   = 1
	NFProtoIPv4   = 2
	NFProtoARP    = 3
	NFProtoNetdev = 5
	NFProtoBridge = 7
	NFProtoIPv6   = 10
)

// FamilyOf is the family with that number; "" for one that this program does
// not know.
func FamilyOf(n uint8) snap.Family {
	switch n {
	case NFProtoInet:
		return snap.Inet
	case NFProtoIPv4:
		return snap.IPv4
	case NFProtoARP:
		return snap.ARP
	case NFProtoNetdev:
		return snap.Netdev
	case NFProtoBridge:
		return snap.BridgeFamily
	case NFProtoIPv6:
		return snap.IPv6
	}
	return ""
}

// NFProto is the number of a family, 0 for none.
func NFProto(f snap.Family) uint8 {
	for _, n := range []uint8{NFProtoInet, NFProtoIPv4, NFProtoARP, NFProtoNetdev, NFProtoBridge, NFProtoIPv6} {
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
