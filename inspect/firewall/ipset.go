package firewall

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Attributes of ipset's messages (include/uapi/linux/netfilter/ipset/ip_set.h).
const (
	ipsetName   = 2
	ipsetType   = 3
	ipsetFamily = 5
	ipsetData   = 7
	ipsetADT    = 8
	// ipsetIndex is IPSET_ATTR_INDEX in the answer to IPSET_CMD_GET_BYNAME.
	ipsetIndex = 11

	ipsetIP         = 1
	ipsetIPTo       = 2
	ipsetCIDR       = 3
	ipsetPort       = 4
	ipsetPortTo     = 5
	ipsetTimeout    = 6
	ipsetProto      = 7
	ipsetFlags      = 8
	ipsetMark       = 10
	ipsetEther      = 17
	ipsetNameRef    = 18
	ipsetIP2        = 20
	ipsetCIDR2      = 21
	ipsetIface      = 23
	ipsetReferences = 25

	ipsetNoMatch  = 4 // IPSET_FLAG_NOMATCH
	ipsetCounters = 8 // IPSET_FLAG_WITH_COUNTERS
)

// DecodeIPSet decodes one message of an IPSET_CMD_LIST dump. The first one of a
// set has its type; the others, which only bring more entries, give "" for it.
// Index is -1: another message has it.
func DecodeIPSet(b []byte) (snap.IPSet, error) {
	a := newAttrs()
	if !a.parse(b, ipsetADT) {
		return snap.IPSet{}, fmt.Errorf("ipset: %w", errMalformed)
	}
	r := values{attrs: &a}
	s := snap.IPSet{Name: r.str(ipsetName), Type: r.str(ipsetType), Entries: []snap.IPSetEntry{}, Index: -1}
	switch r.u8(ipsetFamily) {
	case nfProtoIPv4:
		s.Family = snap.IPv4
	case nfProtoIPv6:
		s.Family = snap.IPv6
	}
	if a.has(ipsetData) {
		n := newAttrs()
		if !n.parse(a.v[ipsetData], maxAttrs-1) {
			r.bad = true
		} else {
			in := values{attrs: &n}
			s.Counters = in.u32(ipsetFlags)&ipsetCounters != 0
			s.References = int(in.u32(ipsetReferences))
			r.bad = r.bad || in.bad
		}
	}
	for b := a.v[ipsetADT]; len(b) > 0 && !r.bad; {
		_, v, rest, _, ok := nextAttr(b)
		if !ok {
			r.bad = true
			break
		}
		e, ok := decodeIPSetEntry(v)
		if !ok {
			r.bad = true
		}
		s.Entries = append(s.Entries, e)
		b = rest
	}
	if r.bad || s.Name == "" {
		return s, fmt.Errorf("ipset %q: %w", s.Name, errMalformed)
	}
	return s, nil
}

// DecodeIPSetIndex decodes the answer to IPSET_CMD_GET_BYNAME.
func DecodeIPSetIndex(b []byte) (int, error) {
	a := newAttrs()
	if !a.parse(b, ipsetIndex) {
		return -1, fmt.Errorf("ipset: %w", errMalformed)
	}
	r := values{attrs: &a}
	r.need(ipsetIndex)
	n := r.u16(ipsetIndex)
	if r.bad {
		return -1, fmt.Errorf("ipset: %w", errMalformed)
	}
	return int(n), nil
}

func decodeIPSetEntry(b []byte) (snap.IPSetEntry, bool) {
	a := newAttrs()
	if !a.parse(b, maxAttrs-1) {
		return snap.IPSetEntry{}, false
	}
	r := values{attrs: &a}
	e := snap.IPSetEntry{
		IP: r.prefix(ipsetIP, ipsetCIDR), IP2: r.prefix(ipsetIP2, ipsetCIDR2), IPTo: r.addr(ipsetIPTo),
		Proto: r.u8(ipsetProto), Port: r.u16(ipsetPort), PortTo: r.u16(ipsetPortTo), Mark: r.u32(ipsetMark),
		Iface: r.str(ipsetIface), Set: r.str(ipsetNameRef), NoMatch: r.u32(ipsetFlags)&ipsetNoMatch != 0,
		TimeoutS: r.u32(ipsetTimeout),
	}
	if a.has(ipsetEther) {
		e.MAC = mac(a.v[ipsetEther])
	}
	return e, !r.bad
}

// addr reads a nested IPSET_ATTR_IPADDR_IPV4 or _IPV6.
func (r *values) addr(i int) netip.Addr {
	if !r.has(i) {
		return netip.Addr{}
	}
	a := newAttrs()
	if !a.parse(r.v[i], 2) || a.has(1) == a.has(2) {
		r.bad = true
		return netip.Addr{}
	}
	raw := a.v[1]
	if raw == nil {
		raw = a.v[2]
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok || ip.Is4() != a.has(1) {
		r.bad = true
	}
	return ip
}

// prefix reads an address and its prefix length, which is the whole address
// when it is not given.
func (r *values) prefix(i, cidr int) netip.Prefix {
	ip := r.addr(i)
	if !ip.IsValid() {
		return netip.Prefix{}
	}
	n := ip.BitLen()
	if r.has(cidr) {
		n = int(r.u8(cidr))
	}
	p := netip.PrefixFrom(ip, n)
	if !p.IsValid() {
		r.bad = true
	}
	return p
}

// mac writes bytes as a hardware address.
func mac(b []byte) string {
	var s strings.Builder
	for i, c := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02x", c)
	}
	return s.String()
}
