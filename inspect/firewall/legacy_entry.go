package firewall

import (
	"bytes"
	"math/bits"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ipInv names the bits of ipt_ip.invflags and ip6t_ip6.invflags.
var ipInv = []string{"in", "out", "tos", "src", "dst", "frag", "proto"}

// ipEntry decodes struct ipt_ip; ok is false when it has flags that this
// program does not know.
func ipEntry(b []byte) (*snap.XtEntry, bool) {
	e := &snap.XtEntry{Proto: native.Uint16(b[80:])}
	flags := b[82]
	inv, ok := flagNames(uint32(b[83]), ipInv)
	e.Inv = inv
	e.Fragment, e.Goto = flags&1 != 0, flags&2 != 0 // IPT_F_FRAG, IPT_F_GOTO
	ok = ok && flags>>2 == 0
	e.Src, e.SrcAddr, e.SrcMask = address(b[0:4:4], b[8:12:12])
	e.Dst, e.DstAddr, e.DstMask = address(b[4:8:8], b[12:16:16])
	in, ok1 := device(b[16:32], b[48:64])
	out, ok2 := device(b[32:48], b[64:80])
	e.InIf, e.OutIf = in, out
	return e, ok && ok1 && ok2
}

// ip6Entry decodes struct ip6t_ip6.
func ip6Entry(b []byte) (*snap.XtEntry, bool) {
	e := &snap.XtEntry{Proto: native.Uint16(b[128:])}
	flags := b[131]
	inv, ok := flagNames(uint32(b[132]), ipInv)
	e.Inv = inv
	e.HasProto, e.Goto = flags&1 != 0, flags&4 != 0 // IP6T_F_PROTO, IP6T_F_TOS, IP6T_F_GOTO
	if flags&2 != 0 {
		e.TOS = b[130]
	}
	ok = ok && flags>>3 == 0
	e.Src, e.SrcAddr, e.SrcMask = address(b[0:16:16], b[32:48:48])
	e.Dst, e.DstAddr, e.DstMask = address(b[16:32:32], b[48:64:64])
	in, ok1 := device(b[64:80], b[96:112])
	out, ok2 := device(b[80:96], b[112:128])
	e.InIf, e.OutIf = in, out
	return e, ok && ok1 && ok2
}

// address gives a prefix where the mask is contiguous, nothing for an empty
// mask, else address and mask as they are.
func address(addr, mask []byte) (p netip.Prefix, rawAddr, rawMask []byte) {
	n, ok := ones(mask)
	if !ok {
		return netip.Prefix{}, addr, mask
	}
	a, _ := netip.AddrFromSlice(addr)
	p = netip.PrefixFrom(a, n)
	if p.Masked() != p {
		return netip.Prefix{}, addr, mask // never matches: the kernel compares the address unmasked
	}
	if n == 0 {
		return netip.Prefix{}, nil, nil
	}
	return p, nil, nil
}

// ones counts the leading ones of a mask; ok is false when others follow a
// zero.
func ones(mask []byte) (n int, ok bool) {
	for i, b := range mask {
		if b == 0xff {
			n += 8
			continue
		}
		lead := bits.LeadingZeros8(^b)
		rest := bytes.TrimLeft(mask[i+1:], "\x00")
		return n + lead, b == byte(0xff<<(8-lead)) && len(rest) == 0
	}
	return n, true
}

// device is an interface name as iptables writes it: with a "+" when only a
// prefix is compared. A mask that is neither is refused
// (iptables: libxtables/xtables.c, xtables_parse_interface).
func device(name, mask []byte) (string, bool) {
	n := 0
	for n < len(mask) && mask[n] == 0xff {
		n++
	}
	if len(bytes.TrimLeft(mask[n:], "\x00")) != 0 {
		return "", false
	}
	s := cstring(name)
	switch {
	case n == 0:
		return "", true
	case n > len(s): // the zero byte is compared too
		return s, true
	}
	return s[:n] + "+", true
}
