// Package ipam gives out subnets and addresses the way Docker's default
// allocator does: pools in a fixed order, the lowest free block, the lowest free
// address. It is pure: what is taken comes in as values.
package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
)

// ErrExhausted says that nothing free is left.
var ErrExhausted = errors.New("nothing free is left")

// Pool is a range of addresses that is cut into blocks of one size.
type Pool struct {
	Base netip.Prefix
	Size int // bits of a block; 0: the whole base
}

// LocalPools are Docker's for networks of one host (moby
// daemon/libnetwork/ipamutils/utils.go: localScopeDefaultNetworks): 31 blocks.
func LocalPools() []Pool {
	return []Pool{
		{netip.MustParsePrefix("172.17.0.0/16"), 16},
		{netip.MustParsePrefix("172.18.0.0/16"), 16},
		{netip.MustParsePrefix("172.19.0.0/16"), 16},
		{netip.MustParsePrefix("172.20.0.0/14"), 16},
		{netip.MustParsePrefix("172.24.0.0/14"), 16},
		{netip.MustParsePrefix("172.28.0.0/14"), 16},
		{netip.MustParsePrefix("192.168.0.0/16"), 20},
	}
}

// GlobalPools are those for networks of several hosts.
func GlobalPools() []Pool { return []Pool{{netip.MustParsePrefix("10.0.0.0/8"), 24}} }

// Sorted puts predefined pools into the order in which they are searched: by
// base, and a longer one that lies within a shorter one is dropped (moby
// ipams/defaultipam/address_space.go: newAddrSpace).
func Sorted(pools []Pool) []Pool {
	list := slices.Clone(pools)
	for i := range list {
		list[i].Base = list[i].Base.Masked()
	}
	sort.SliceStable(list, func(i, j int) bool {
		return list[i].Base.Compare(list[j].Base) < 0
	})
	var out []Pool
	for _, p := range list {
		if len(out) > 0 && out[len(out)-1].Base.Overlaps(p.Base) {
			continue
		}
		out = append(out, p)
	}
	return out
}

// Reserved is what pools are not cut from: the host's name servers and its IPv4
// routes of scope link. Routes behind a gateway are not among them (moby
// netutils/utils_linux.go: InferReservedNetworks).
func Reserved(nameservers []netip.Addr, onLink []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range nameservers {
		if a = a.Unmap().WithZone(""); a.IsValid() {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	for _, p := range onLink {
		if p.Addr().Is4() && p.Bits() > 0 {
			out = append(out, p.Masked())
		}
	}
	return out
}

// Next is the first block, in the order of the pools, that overlaps nothing of
// what is taken.
func Next(pools []Pool, taken []netip.Prefix) (netip.Prefix, error) {
	for _, p := range pools {
		size := max(p.Size, p.Base.Bits())
		for b := netip.PrefixFrom(p.Base.Masked().Addr(), size); p.Base.Contains(b.Addr()); {
			hit := netip.Prefix{}
			for _, t := range taken {
				if t.Overlaps(b) && (!hit.IsValid() || t.Bits() < hit.Bits()) {
					hit = t
				}
			}
			if !hit.IsValid() {
				return b, nil
			}
			// Behind what is in the way, at once: a taken /8 would cost 65,536 steps.
			end := last(b)
			if l := last(hit); end.Less(l) {
				end = l
			}
			next := end.Next()
			if !next.IsValid() {
				break
			}
			up := netip.PrefixFrom(next, size).Masked()
			if up.Addr().Less(next) {
				next = last(up).Next()
				if !next.IsValid() {
					break
				}
				up = netip.PrefixFrom(next, size)
			}
			b = up
		}
	}
	return netip.Prefix{}, fmt.Errorf("could not find an available, non-overlapping address pool among the defaults: %w", ErrExhausted)
}

// last is the highest address of a block.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b) // 4 or 16 bytes
	return a
}
