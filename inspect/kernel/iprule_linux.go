package kernel

import (
	"context"
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// readRules dumps the policy rules of both families, each in the order of
// their priority.
func (r *requester) readRules(ctx context.Context) ([]snap.PolicyRule, error) {
	return bothFamilies(ctx, r, "policy rules", unix.RTM_GETRULE, decodeRule)
}

// bothFamilies dumps what there is of IPv4 and then of IPv6. A kernel without IPv6
// answers with that of all families.
func bothFamilies[T any](ctx context.Context, r *requester, what string, typ uint16, decode func([]byte) (T, bool)) ([]T, error) {
	var out []T
	for _, af := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var part []T
		err := r.dump(ctx, what, typ, body(unix.SizeofRtMsg, af), func() { part = nil }, func(m message) {
			if x, ok := decode(m.data); ok && m.data[0] == af {
				part = append(part, x)
			}
		})
		if err != nil {
			return out, err
		}
		out = append(out, part...)
	}
	return out, nil
}

const (
	fibRuleInvert  = 0x2 // linux/fib_rules.h: FIB_RULE_INVERT
	sizeofRuleHead = 12  // struct fib_rule_hdr
)

// decodeRule decodes one RTM_NEWRULE (net/core/fib_rules.c:fib_nl_fill_rule).
func decodeRule(b []byte) (snap.PolicyRule, bool) {
	if len(b) < sizeofRuleHead {
		return snap.PolicyRule{}, false
	}
	fam, ok := ipFamily(b[0])
	if !ok {
		return snap.PolicyRule{}, false
	}
	p := snap.PolicyRule{
		Family: fam, TOS: b[3], Table: uint32(b[4]), Action: ruleAction(b[7]),
		Invert:            u32of(b[8:])&fibRuleInvert != 0,
		SuppressPrefixLen: -1, SuppressIfgroup: -1,
	}
	for t, v := range rtattrs(b[sizeofRuleHead:]) {
		switch t {
		case unix.FRA_SRC:
			p.Src = prefixOf(v, b[2])
		case unix.FRA_DST:
			p.Dst = prefixOf(v, b[1])
		case unix.FRA_IIFNAME:
			p.IIF = strOf(v)
		case unix.FRA_OIFNAME:
			p.OIF = strOf(v)
		case unix.FRA_PRIORITY:
			p.Priority = u32of(v)
		case unix.FRA_FWMARK:
			p.Mark = u32of(v)
		case unix.FRA_FWMASK:
			p.Mask = u32of(v)
		case unix.FRA_TABLE:
			p.Table = u32of(v)
		case unix.FRA_GOTO:
			p.Goto = u32of(v)
		case unix.FRA_L3MDEV:
			p.L3mdev = flagOf(v)
		case unix.FRA_IP_PROTO:
			p.IPProto = u8of(v)
		case unix.FRA_SPORT_RANGE:
			p.Sport = portRange(v)
		case unix.FRA_DPORT_RANGE:
			p.Dport = portRange(v)
		case unix.FRA_UID_RANGE:
			if lo, hi := u32of(v), u32of(v[min(4, len(v)):]); len(v) >= 8 && (lo != 0 || hi != ^uint32(0)) {
				p.UID = &[2]uint32{lo, hi}
			}
		case unix.FRA_TUN_ID:
			if len(v) >= 8 {
				p.TunID = binary.BigEndian.Uint64(v)
			}
		case unix.FRA_SUPPRESS_PREFIXLEN:
			p.SuppressPrefixLen = intOf(v)
		case unix.FRA_SUPPRESS_IFGROUP:
			p.SuppressIfgroup = intOf(v)
		}
	}
	if p.Action != "table" {
		p.Table = 0
	}
	// A source length without a source is "from 0.0.0.0/n", which means any.
	if p.Src.IsValid() && p.Src.Bits() == 0 {
		p.Src = netip.Prefix{}
	}
	if p.Dst.IsValid() && p.Dst.Bits() == 0 {
		p.Dst = netip.Prefix{}
	}
	return p, true
}

func portRange(v []byte) [2]uint16 {
	if len(v) < 4 {
		return [2]uint16{}
	}
	return [2]uint16{u16of(v), u16of(v[2:])}
}

// ruleAction names linux/fib_rules.h: FR_ACT_*.
func ruleAction(n uint8) string {
	switch n {
	case unix.FR_ACT_TO_TBL:
		return "table"
	case unix.FR_ACT_GOTO:
		return "goto"
	case unix.FR_ACT_NOP:
		return "nop"
	case unix.FR_ACT_BLACKHOLE:
		return "blackhole"
	case unix.FR_ACT_UNREACHABLE:
		return "unreachable"
	case unix.FR_ACT_PROHIBIT:
		return "prohibit"
	}
	return strconv.Itoa(int(n))
}
