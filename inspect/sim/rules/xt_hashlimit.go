package rules

import (
	"net/netip"
	"slices"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hashlimit is net/netfilter/xt_hashlimit.c:hashlimit_mt_common: a key that is not in
// the table, or has credit for one more packet, is below its limit.
func hashlimit(m *machine, v *fw.HashlimitMatch) truth {
	what := "hashlimit " + v.Name
	if !v.RateMatch && !v.Bytes {
		what += " of one packet in " + perPacket(v.Avg, v.Scale)
	}
	open := varies(what + " is not used up").xor(v.Invert)
	t := m.env.HashLimit(v.Name, m.pkt.Family)
	if t == nil || v.RateMatch || v.Bytes {
		return open
	}
	key := hashKey(&m.pkt, v)
	i := slices.IndexFunc(t.Entries, func(e snap.HashLimitEntry) bool { return e.Src == key.Src && e.Dst == key.Dst })
	if i < 0 {
		return is(!v.Invert)
	}
	return is(t.Entries[i].Credit >= t.Entries[i].Cost).xor(v.Invert)
}

// hashKey is hashlimit_init_dst.
func hashKey(p *Packet, v *fw.HashlimitMatch) snap.HashLimitEntry {
	zero := netip.IPv4Unspecified()
	if p.Family == snap.IPv6 {
		zero = netip.IPv6Unspecified()
	}
	part := func(addr, port string, a netip.Addr, bits uint8, n uint16) netip.AddrPort {
		at, num := zero, uint16(0)
		if slices.Contains(v.Keys, addr) && a.IsValid() {
			if pre, err := a.Prefix(int(bits)); err == nil {
				at = pre.Addr()
			}
		}
		if slices.Contains(v.Keys, port) && (p.Proto == snap.IPProtoTCP || p.Proto == snap.IPProtoUDP || p.Proto == snap.IPProtoSCTP) {
			num = n
		}
		return netip.AddrPortFrom(at, num)
	}
	return snap.HashLimitEntry{Src: part("srcip", "srcport", p.Src, v.SrcMask, p.Sport), Dst: part("dstip", "dstport", p.Dst, v.DstMask, p.Dport)}
}
