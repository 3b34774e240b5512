package kernel

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Opcodes and registers of systemd's firewall program (systemd
// src/core/bpf-firewall.c: bpf_firewall_compile_bpf): R8 collects what the lists
// say, and only denied without allowed drops.
const (
	opLdImm64   = 0x18
	opJeqImm    = 0x15
	opJneImm    = 0x55
	opOr32Imm   = 0x44
	pseudoMapFD = 1
	regResult   = 0
	regLists    = 8
	listAllowed = 1
	listDenied  = 2
	// maxListed bounds what is read of a list.
	maxListed = 4096
)

// anyPrefixes are all addresses of both families.
func anyPrefixes() (v4, v6 netip.Prefix) {
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// onAny says whether a list has everybody.
func onAny(list []netip.Prefix) bool {
	any4, any6 := anyPrefixes()
	return slices.Contains(list, any4) && slices.Contains(list, any6)
}

// systemdFilter reads the lists of systemd's firewall program out of its
// instructions and their maps; nil when they are not quite what is expected.
func systemdFilter(insns []byte) *snap.CgroupFilter {
	f := &snap.CgroupFilter{}
	any4, any6 := anyPrefixes()
	var list uint32 // map of the look-up under way
	judged := false
	at := func(i int) (op, dst, src byte, imm uint32) {
		b := insns[i:]
		return b[0], b[1] & 0xf, b[1] >> 4, binary.NativeEndian.Uint32(b[4:])
	}
	for i := 0; i+8 <= len(insns); i += 8 {
		op, dst, src, imm := at(i)
		switch {
		case op == opLdImm64:
			if src == pseudoMapFD {
				list = imm
			}
			i += 8
		case op == opJneImm && dst == regLists:
			judged = imm == listDenied
		case op == opOr32Imm && dst == regLists && (imm == listAllowed || imm == listDenied):
			into := &f.Deny
			if imm == listAllowed {
				into = &f.Allow
			}
			looked := false
			if i > 0 {
				before, reg, _, zero := at(i - 8)
				looked = before == opJeqImm && reg == regResult && zero == 0
			}
			if !looked { // "any"
				*into = append(*into, any4, any6)
				continue
			}
			more, ok := onList(list)
			if !ok {
				return nil
			}
			*into = append(*into, more...)
		}
	}
	// Where the lists leave no choice the kernel has taken the question out.
	if judged || onAny(f.Allow) || len(f.Allow) == 0 && onAny(f.Deny) {
		return f
	}
	return nil
}

// onList are the prefixes of an LPM trie.
func onList(id uint32) ([]netip.Prefix, bool) {
	m, err := ebpf.NewMapFromID(ebpf.MapID(id))
	if err != nil {
		return nil, false
	}
	defer m.Close() //nolint:errcheck // only a descriptor
	if m.Type() != ebpf.LPMTrie {
		return nil, false
	}
	var out []netip.Prefix
	var key []byte
	for range maxListed {
		if key, err = m.NextKeyBytes(keyOrNil(key)); err != nil {
			return nil, false
		}
		if key == nil {
			return out, true
		}
		addr, ok := netip.AddrFromSlice(key[4:])
		if !ok {
			return nil, false
		}
		out = append(out, netip.PrefixFrom(addr, int(binary.NativeEndian.Uint32(key))))
	}
	return nil, false
}

// keyOrNil is a key as the library takes it: none is a nil of no type.
func keyOrNil(key []byte) any {
	if key == nil {
		return nil
	}
	return key
}
