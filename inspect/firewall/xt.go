package firewall

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// DecodeXt decodes the kernel struct of an xt match or target into a pointer
// to one of this package's …Match and …Target types. Revisions of one
// extension that mean the same with other layouts give the same type. v6 says
// that the rule is ip6tables': layouts of addresses and some enums differ.
//
// A name or revision that is not known, and a struct whose size is not that of
// the revision, is snap.ErrUnsupported: what it would match is then unknown.
func DecodeXt(x *snap.Xt, v6 bool) (any, error) {
	d := blob{b: x.Info, rev: x.Rev, v6: v6}
	var v any
	if x.Target {
		v = d.target(x.Name)
	} else {
		v = d.match(x.Name)
	}
	switch {
	case d.bad:
		return nil, fmt.Errorf("xt %s %s revision %d with %d bytes: %w", kindOf(x), x.Name, x.Rev, len(x.Info), snap.ErrUnsupported)
	case v == nil:
		return nil, fmt.Errorf("xt %s %s revision %d: %w", kindOf(x), x.Name, x.Rev, snap.ErrUnsupported)
	}
	return v, nil
}

func kindOf(x *snap.Xt) string {
	if x.Target {
		return "target"
	}
	return "match"
}

// blob is a kernel struct in the kernel's byte order.
type blob struct {
	b   []byte
	rev uint8
	v6  bool
	bad bool
}

// size says that the struct has n bytes; XT_ALIGN pads it to 8. Reading beyond
// a wrong size gives zeros.
func (d *blob) size(n int) {
	if (len(d.b)+7)&^7 != (n+7)&^7 || len(d.b) < n {
		d.bad = true
		d.b = make([]byte, n)
	}
}

// revs says which revisions are known.
func (d *blob) revs(from, to uint8) {
	if d.rev < from || d.rev > to {
		d.bad = true
	}
}

// only marks the struct as unknown when bits outside mask are set.
func (d *blob) only(v, mask uint64) {
	if v&^mask != 0 {
		d.bad = true
	}
}

func (d *blob) u8(off int) uint8      { return d.b[off] }
func (d *blob) flag(off int) bool     { return d.b[off] != 0 }
func (d *blob) u16(off int) uint16    { return native.Uint16(d.b[off:]) }
func (d *blob) u32(off int) uint32    { return native.Uint32(d.b[off:]) }
func (d *blob) u64(off int) uint64    { return native.Uint64(d.b[off:]) }
func (d *blob) be16(off int) uint16   { return binary.BigEndian.Uint16(d.b[off:]) }
func (d *blob) be32(off int) uint32   { return binary.BigEndian.Uint32(d.b[off:]) }
func (d *blob) str(off, n int) string { return cstring(d.b[off : off+n]) }

// ip is an IPv4 address in 4 bytes.
func (d *blob) ip(off int) netip.Addr {
	return netip.AddrFrom4([4]byte(d.b[off : off+4]))
}

// inet is a union nf_inet_addr of 16 bytes.
func (d *blob) inet(off int) netip.Addr {
	if d.v6 {
		return netip.AddrFrom16([16]byte(d.b[off : off+16]))
	}
	return d.ip(off)
}

// masked is a nf_inet_addr with its mask.
func (d *blob) masked(addr, mask int) Masked { return Masked{d.inet(addr), d.inet(mask)} }

// ports is a range of two host-order ports.
func (d *blob) ports(off int) PortRange { return PortRange{d.u16(off), d.u16(off + 2)} }

// ifname is an interface name with its mask, as iptables writes it.
func (d *blob) ifname(name, mask int) string {
	s, ok := device(d.b[name:name+16], d.b[mask:mask+16])
	if !ok {
		d.bad = true
	}
	return s
}

// PortRange is Min to Max, both included.
type PortRange struct{ Min, Max uint16 }

// Masked is an address that is compared after masking.
type Masked struct{ Addr, Mask netip.Addr }

// Prefix is the address as a prefix; ok is false when the mask is not
// contiguous.
func (m Masked) Prefix() (p netip.Prefix, ok bool) {
	n, ok := ones(m.Mask.AsSlice())
	return netip.PrefixFrom(m.Addr, n), ok
}
