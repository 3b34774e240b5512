package diag

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// natKey is the destination by which a rule, or an element of a map that it looks up,
// picks packets.
type natKey struct {
	addr  netip.Addr // invalid: any
	proto snap.Proto
	port  uint16
}

// natKeys are those of a rule that asks for a port.
func natKeys(ns *snap.Netns, t *snap.Table, c *snap.Chain, r *snap.Rule) []natKey {
	words := strings.Fields(firewall.RuleText(ns, t, c, r))
	k := natKey{}
	if p := dstMatched(words); p.IsSingleIP() {
		k.addr = p.Addr()
	}
	if k.port, k.proto = portMatched(words); k.port != 0 {
		return []natKey{k}
	}
	var out []natKey
	for _, x := range r.Exprs {
		l, ok := x.(*snap.Lookup)
		if !ok || l.Dreg == snap.NoReg {
			continue
		}
		if s := t.Set(l.Set); s != nil {
			for i := range s.Elements {
				if x := elementKey(s, &s.Elements[i], k); x.port != 0 {
					out = append(out, x)
				}
			}
		}
	}
	return out
}

// elementKey is a rule's key with what an element adds to it; without a port where the
// element spans several, or has none. A concatenation's type has six bits for each of its
// parts, of which each is filled up to registers (nftables: include/datatype.h).
func elementKey(s *snap.Set, el *snap.Element, k natKey) natKey {
	const ipv4Addr, inetProto, inetService, bits, reg = 7, 12, 13, 6, 4
	fields := s.Fields
	if len(fields) == 0 {
		fields = []int{s.KeyLen}
	}
	if len(el.KeyEnd) > 0 && !slices.Equal(el.Key, el.KeyEnd) {
		return natKey{}
	}
	at := 0
	for i, n := range fields {
		if len(el.Key) < at+n {
			return natKey{}
		}
		part := el.Key[at : at+n]
		switch kind := s.KeyType >> (bits * (len(fields) - 1 - i)) & (1<<bits - 1); {
		case kind == ipv4Addr && n == 4:
			k.addr = netip.AddrFrom4([4]byte(part))
		case kind == inetProto && n == 1:
			if k.proto = snap.TCP; part[0] == snap.UDP.Number() {
				k.proto = snap.UDP
			}
		case kind == inetService && n == 2:
			k.port = binary.BigEndian.Uint16(part)
		}
		at += (n + reg - 1) / reg * reg
	}
	return k
}

// dstMatched is the destination that a rule's words ask for; invalid for none.
func dstMatched(words []string) netip.Prefix {
	k := slices.IndexFunc(words, func(w string) bool { return w == "-d" || w == "daddr" })
	if k < 0 || k+1 >= len(words) || k > 0 && words[k-1] == "!" {
		return netip.Prefix{}
	}
	if p, err := netip.ParsePrefix(words[k+1]); err == nil {
		return p
	}
	a, _ := netip.ParseAddr(words[k+1])
	return netip.PrefixFrom(a, a.BitLen())
}
