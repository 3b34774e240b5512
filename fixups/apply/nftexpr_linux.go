package apply

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// encode writes expressions as NFTA_RULE_EXPRESSIONS: those that package fixups
// makes of rules. inspect/firewall reads them.
func encode(x snap.Exprs) ([]byte, error) {
	var out attrs
	for _, e := range x {
		name, data, err := encodeExpr(e)
		if err != nil {
			return nil, err
		}
		out.nested(listElem, func(a *attrs) {
			a.str(1, name)
			a.bytes(2|unix.NLA_F_NESTED, data)
		})
	}
	return out, nil
}

// register is a register's number: the 16-byte ones where they begin.
func register(r int) uint32 {
	switch {
	case r == snap.VerdictReg:
		return 0
	case r%4 == 0:
		return uint32(1 + r/4)
	}
	return uint32(8 + r)
}

// numberIn is the place of a name in an enum; err names what is unknown.
func numberIn(what, name string, list ...string) (uint32, error) {
	for i, n := range list {
		if n == name {
			return uint32(i), nil
		}
	}
	return 0, fmt.Errorf("%s %q: %w", what, name, snap.ErrUnsupported)
}

func encodeExpr(e snap.Expr) (name string, a attrs, err error) {
	value := func(typ uint16, b []byte) { a.nested(typ, func(d *attrs) { d.bytes(dataValue, b) }) }
	var n uint32
	name = e.Kind()
	switch e := e.(type) {
	case *snap.Immediate:
		a.be32(1, register(e.Dreg))
		a.nested(2, func(d *attrs) { encodeData(d, e.Data, e.Verdict) })
	case *snap.Payload:
		if n, err = numberIn("payload base", e.Base, "ll", "nh", "th", "inner"); err == nil && e.Dreg == snap.NoReg {
			err = fmt.Errorf("writing payload: %w", snap.ErrUnsupported)
		}
		a.be32(1, register(e.Dreg))
		a.be32(2, n)
		a.be32(3, uint32(e.Offset))
		a.be32(4, uint32(e.Len))
	case *snap.Meta:
		n, err = numberIn("meta", e.Key, "len", "protocol", "priority", "mark", "iif", "oif", "iifname", "oifname", "iiftype", "oiftype",
			"skuid", "skgid", "nftrace", "rtclassid", "secmark", "nfproto", "l4proto")
		a.be32(2, n)
		if e.Dreg != snap.NoReg {
			a.be32(1, register(e.Dreg))
		} else {
			a.be32(3, register(e.Sreg))
		}
	case *snap.Cmp:
		n, err = numberIn("comparison", e.Op, "==", "!=", "<", "<=", ">", ">=")
		a.be32(1, register(e.Sreg))
		a.be32(2, n)
		value(3, e.Data)
	case *snap.Range:
		n, err = numberIn("comparison", e.Op, "==", "!=")
		a.be32(1, register(e.Sreg))
		a.be32(2, n)
		value(3, e.From)
		value(4, e.To)
	case *snap.Bitwise:
		if e.Op != "mask-xor" {
			return name, nil, fmt.Errorf("bitwise %q: %w", e.Op, snap.ErrUnsupported)
		}
		a.be32(1, register(e.Sreg))
		a.be32(2, register(e.Dreg))
		a.be32(3, uint32(e.Len))
		value(4, e.Mask)
		value(5, e.Xor)
	case *snap.Ct:
		n, err = numberIn("ct", e.Key, "state", "direction", "status", "mark")
		a.be32(1, register(e.Dreg))
		a.be32(2, n)
	case *snap.Counter:
		a.be64(1, e.Bytes)
		a.be64(2, e.Packets)
	case *snap.Lookup:
		a.str(1, e.Set)
		a.be32(2, register(e.Sreg))
		if e.Dreg != snap.NoReg {
			a.be32(3, register(e.Dreg))
		}
		if e.Invert {
			a.be32(5, 1) // NFT_LOOKUP_F_INV
		}
	case *snap.Fib:
		if n, err = numberIn("fib result", e.Result, "", "oif", "oifname", "type"); err != nil {
			return name, nil, err
		}
		var flags uint32
		for _, f := range e.Flags {
			bit, err := numberIn("fib flag", f, "saddr", "daddr", "mark", "iif", "oif", "present")
			if err != nil {
				return name, nil, err
			}
			flags |= 1 << bit
		}
		a.be32(1, register(e.Dreg))
		a.be32(2, n)
		a.be32(3, flags)
	case *snap.Numgen:
		n, err = numberIn("numgen", e.Mode, "inc", "random")
		a.be32(1, register(e.Dreg))
		a.be32(2, e.Modulus)
		a.be32(3, n)
		a.be32(4, e.Offset)
	case *snap.Masq:
		if e.ProtoMin != snap.NoReg || len(e.Flags) > 0 {
			err = fmt.Errorf("masquerade with options: %w", snap.ErrUnsupported)
		}
	case *snap.Nat:
		return encodeNat(e)
	case *snap.Reject:
		n, err = numberIn("reject", e.Type, "icmp", "tcp-reset", "icmpx")
		a.be32(1, n)
		a.u8(2, e.Code)
	case *snap.Xt:
		name = "match"
		if e.Target {
			name = "target"
		}
		a.str(1, e.Name)
		a.be32(2, uint32(e.Rev))
		a.bytes(3, e.Info)
	default:
		err = fmt.Errorf("expression %s: %w", name, snap.ErrUnsupported)
	}
	return name, a, err
}

func encodeNat(e *snap.Nat) (string, attrs, error) {
	var a attrs
	typ, err := numberIn("nat", e.Type, "snat", "dnat")
	if err != nil {
		return "", nil, err
	}
	a.be32(1, typ)
	fam := uint32(unix.NFPROTO_IPV4)
	if e.Family == snap.IPv6 {
		fam = unix.NFPROTO_IPV6
	}
	a.be32(2, fam)
	for i, r := range []int{e.AddrMin, e.AddrMax, e.ProtoMin, e.ProtoMax} {
		if r != snap.NoReg {
			a.be32(uint16(3+i), register(r))
		}
	}
	return "nat", a, nil
}
