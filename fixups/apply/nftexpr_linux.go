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
		out.nested(unix.NFTA_LIST_ELEM, func(a *attrs) {
			a.str(unix.NFTA_EXPR_NAME, name)
			a.bytes(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, data)
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

// unwritten is the error for what the kernel could do and package fixups never asks for:
// left out, the rule would do something else.
func unwritten(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, snap.ErrUnsupported)...)
}

// encodeExpr is an expression's NFTA_EXPR_NAME and NFTA_EXPR_DATA.
func encodeExpr(e snap.Expr) (name string, a attrs, err error) {
	switch e := e.(type) {
	case *snap.Immediate:
		if e.Verdict != nil && verdictCode(e.Verdict.Code) == noVerdict {
			err = unwritten("the verdict %q", e.Verdict.Code)
		}
		a.be32(unix.NFTA_IMMEDIATE_DREG, register(e.Dreg))
		a.nested(unix.NFTA_IMMEDIATE_DATA, func(d *attrs) { encodeData(d, e.Data, e.Verdict) })
	case *snap.Payload:
		err = encodePayload(&a, e)
	case *snap.Meta:
		err = encodeMeta(&a, e)
	case *snap.Ct:
		err = encodeCt(&a, e)
	case *snap.Fib:
		err = encodeFib(&a, e)
	case *snap.Cmp, *snap.Range, *snap.Bitwise:
		err = encodeCompare(&a, e)
	case *snap.Rt, *snap.Byteorder, *snap.Exthdr:
		err = encodeOption(&a, e)
	case *snap.Lookup:
		a.str(unix.NFTA_LOOKUP_SET, e.Set)
		a.be32(unix.NFTA_LOOKUP_SREG, register(e.Sreg))
		if e.Dreg != snap.NoReg {
			a.be32(unix.NFTA_LOOKUP_DREG, register(e.Dreg))
		}
		if e.Invert {
			a.be32(unix.NFTA_LOOKUP_FLAGS, unix.NFT_LOOKUP_F_INV)
		}
	case *snap.Numgen:
		var mode uint32
		mode, err = numberIn("numgen", e.Mode, "inc", "random") // enum nft_ng_types
		a.be32(unix.NFTA_NG_DREG, register(e.Dreg))
		a.be32(unix.NFTA_NG_MODULUS, e.Modulus)
		a.be32(unix.NFTA_NG_TYPE, mode)
		a.be32(unix.NFTA_NG_OFFSET, e.Offset)
	case *snap.Counter:
		a.be64(unix.NFTA_COUNTER_BYTES, e.Bytes)
		a.be64(unix.NFTA_COUNTER_PACKETS, e.Packets)
	case *snap.Masq:
		if e.ProtoMin != snap.NoReg || len(e.Flags) > 0 {
			err = unwritten("masquerade with options")
		}
	case *snap.Nat:
		err = encodeNat(&a, e)
	case *snap.Reject:
		var typ uint32
		typ, err = numberIn("reject", e.Type, "icmp", "tcp-reset", "icmpx") // enum nft_reject_types
		a.be32(unix.NFTA_REJECT_TYPE, typ)
		a.u8(unix.NFTA_REJECT_ICMP_CODE, e.Code)
	case *snap.Xt:
		return encodeXt(e)
	default:
		err = unwritten("expression %s", e.Kind())
	}
	return e.Kind(), a, err
}

func encodePayload(a *attrs, e *snap.Payload) error {
	base, err := numberIn("payload base", e.Base, "ll", "nh", "th", "inner") // enum nft_payload_bases
	if err == nil && e.Dreg == snap.NoReg {
		err = unwritten("writing payload")
	}
	a.be32(unix.NFTA_PAYLOAD_DREG, register(e.Dreg))
	a.be32(unix.NFTA_PAYLOAD_BASE, base)
	a.be32(unix.NFTA_PAYLOAD_OFFSET, uint32(e.Offset))
	a.be32(unix.NFTA_PAYLOAD_LEN, uint32(e.Len))
	return err
}

// loadOrSet is the register that an expression loads into, or the one that it sets from.
func loadOrSet(a *attrs, load uint16, dreg int, set uint16, sreg int) {
	if dreg != snap.NoReg {
		a.be32(load, register(dreg))
		return
	}
	a.be32(set, register(sreg))
}

func encodeMeta(a *attrs, e *snap.Meta) error {
	key, err := numberIn("meta", e.Key, "len", "protocol", "priority", "mark", "iif", "oif", "iifname", "oifname", "iiftype", "oiftype",
		"skuid", "skgid", "nftrace", "rtclassid", "secmark", "nfproto", "l4proto") // enum nft_meta_keys
	a.be32(unix.NFTA_META_KEY, key)
	loadOrSet(a, unix.NFTA_META_DREG, e.Dreg, unix.NFTA_META_SREG, e.Sreg)
	return err
}

func encodeCt(a *attrs, e *snap.Ct) error {
	known := []string{"state", "direction", "status", "mark"} // enum nft_ct_keys
	if e.Dir != "" {
		known = []string{11: "proto-src", 12: "proto-dst"}
		dir, err := numberIn("ct direction", e.Dir, "original", "reply") // enum ip_conntrack_dir
		if err != nil {
			return err
		}
		a.u8(unix.NFTA_CT_DIRECTION, uint8(dir))
	}
	key, err := numberIn("ct", e.Key, known...)
	a.be32(unix.NFTA_CT_KEY, key)
	loadOrSet(a, unix.NFTA_CT_DREG, e.Dreg, unix.NFTA_CT_SREG, e.Sreg)
	return err
}

func encodeFib(a *attrs, e *snap.Fib) error {
	result, err := numberIn("fib result", e.Result, "", "oif", "oifname", "type") // enum nft_fib_result
	if err != nil {
		return err
	}
	var flags uint32
	for _, f := range e.Flags {
		bit, err := numberIn("fib flag", f, "saddr", "daddr", "mark", "iif", "oif", "present") // NFTA_FIB_F_*
		if err != nil {
			return err
		}
		flags |= 1 << bit
	}
	a.be32(unix.NFTA_FIB_DREG, register(e.Dreg))
	a.be32(unix.NFTA_FIB_RESULT, result)
	a.be32(unix.NFTA_FIB_FLAGS, flags)
	return nil
}

// encodeCompare writes what compares or masks a register.
func encodeCompare(a *attrs, e snap.Expr) (err error) {
	value := func(typ uint16, b []byte) { a.nested(typ, func(d *attrs) { d.bytes(unix.NFTA_DATA_VALUE, b) }) }
	var op uint32
	switch e := e.(type) {
	case *snap.Cmp:
		op, err = numberIn("comparison", e.Op, "==", "!=", "<", "<=", ">", ">=") // enum nft_cmp_ops
		a.be32(unix.NFTA_CMP_SREG, register(e.Sreg))
		a.be32(unix.NFTA_CMP_OP, op)
		value(unix.NFTA_CMP_DATA, e.Data)
	case *snap.Range:
		op, err = numberIn("comparison", e.Op, "==", "!=") // enum nft_range_ops
		a.be32(unix.NFTA_RANGE_SREG, register(e.Sreg))
		a.be32(unix.NFTA_RANGE_OP, op)
		value(unix.NFTA_RANGE_FROM_DATA, e.From)
		value(unix.NFTA_RANGE_TO_DATA, e.To)
	case *snap.Bitwise:
		if e.Op != "mask-xor" {
			return unwritten("bitwise %q", e.Op)
		}
		a.be32(unix.NFTA_BITWISE_SREG, register(e.Sreg))
		a.be32(unix.NFTA_BITWISE_DREG, register(e.Dreg))
		a.be32(unix.NFTA_BITWISE_LEN, uint32(e.Len))
		value(unix.NFTA_BITWISE_MASK, e.Mask)
		value(unix.NFTA_BITWISE_XOR, e.Xor)
	}
	return err
}

// encodeOption writes what reads the route, swaps bytes and writes an option of TCP.
func encodeOption(a *attrs, e snap.Expr) (err error) {
	var n uint32
	switch e := e.(type) {
	case *snap.Rt:
		n, err = numberIn("rt", e.Key, "classid", "nexthop4", "nexthop6", "tcpmss") // enum nft_rt_keys
		a.be32(unix.NFTA_RT_DREG, register(e.Dreg))
		a.be32(unix.NFTA_RT_KEY, n)
	case *snap.Byteorder:
		n, err = numberIn("byteorder", e.Op, "ntoh", "hton") // enum nft_byteorder_ops
		a.be32(unix.NFTA_BYTEORDER_SREG, register(e.Sreg))
		a.be32(unix.NFTA_BYTEORDER_DREG, register(e.Dreg))
		a.be32(unix.NFTA_BYTEORDER_OP, n)
		a.be32(unix.NFTA_BYTEORDER_LEN, uint32(e.Len))
		a.be32(unix.NFTA_BYTEORDER_SIZE, uint32(e.Size))
	case *snap.Exthdr:
		if e.Op != "tcpopt" || e.Sreg == snap.NoReg || e.Present {
			return unwritten("exthdr %s", e.Op)
		}
		a.u8(unix.NFTA_EXTHDR_TYPE, e.Type)
		a.be32(unix.NFTA_EXTHDR_OFFSET, uint32(e.Offset))
		a.be32(unix.NFTA_EXTHDR_LEN, uint32(e.Len))
		a.be32(unix.NFTA_EXTHDR_OP, unix.NFT_EXTHDR_OP_TCPOPT)
		a.be32(unix.NFTA_EXTHDR_SREG, register(e.Sreg))
	}
	return err
}

// encodeNat leaves out the flags that the kernel sets itself where registers are
// given (net/netfilter/nft_nat.c: nft_nat_init).
func encodeNat(a *attrs, e *snap.Nat) error {
	typ, err := numberIn("nat", e.Type, "snat", "dnat") // enum nft_nat_types
	for _, f := range e.Flags {
		if err == nil && f != "map-ips" && f != "proto-specified" {
			err = unwritten("nat %s", f)
		}
	}
	fam := uint32(unix.NFPROTO_IPV4)
	if e.Family == snap.IPv6 {
		fam = unix.NFPROTO_IPV6
	}
	a.be32(unix.NFTA_NAT_TYPE, typ)
	a.be32(unix.NFTA_NAT_FAMILY, fam)
	for i, r := range []int{e.AddrMin, e.AddrMax, e.ProtoMin, e.ProtoMax} {
		if r != snap.NoReg {
			a.be32(unix.NFTA_NAT_REG_ADDR_MIN+uint16(i), register(r))
		}
	}
	return err
}

// encodeXt writes an extension of xtables; matches and targets have the same attributes.
func encodeXt(e *snap.Xt) (name string, a attrs, err error) {
	a.str(unix.NFTA_MATCH_NAME, e.Name)
	a.be32(unix.NFTA_MATCH_REV, uint32(e.Rev))
	a.bytes(unix.NFTA_MATCH_INFO, e.Info)
	if e.Target {
		return "target", a, nil
	}
	return "match", a, nil
}
