package fixups

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// This file reads the part of iptables(8)'s arguments that fixes write. Whatever
// is not known is an error: a rule that is half understood can't be modelled.

// ipRule is a rule as iptables' arguments say it.
type ipRule struct {
	v6       bool
	ipsets   map[string]int // the kernel's numbers of ipsets, by name
	src, dst netip.Prefix   // zero: any
	in, out  string         // with "+" at the end: a prefix
	proto    uint8          // 0: any
	not      map[string]bool
	matches  []ipMatch // in the order of their loading
	verdict  *snap.Verdict
	target   *snap.Xt
	comment  string
}

// ipMatch is one extension.
type ipMatch struct {
	name string
	// ports, flags and marks are kept apart from xt, as iptables-nft writes them
	// as expressions of its own.
	ports *portMatch
	flags *flagMatch
	mark  *markMatch
	xt    *snap.Xt
}

type portMatch struct {
	src, dst       [2]uint16
	hasSrc, hasDst bool
	notSrc, notDst bool
}

type flagMatch struct {
	mask, cmp uint8
	not       bool
}

type markMatch struct {
	mark, mask uint32
	not        bool
}

// argReader goes through the arguments.
type argReader struct {
	args []string
	i    int
	rule *ipRule
}

// next is the value of an option.
func (a *argReader) next(opt string) (string, error) {
	if a.i >= len(a.args) {
		return "", fmt.Errorf("%s lacks its value", opt)
	}
	a.i++
	return a.args[a.i-1], nil
}

// parseArgs reads a rule.
func parseArgs(v6 bool, args []string, ipsets map[string]int) (*ipRule, error) {
	r := &ipRule{v6: v6, not: map[string]bool{}, ipsets: ipsets}
	a := &argReader{args: args, rule: r}
	for a.i < len(a.args) {
		not := false
		if a.args[a.i] == "!" {
			not = true
			if a.i++; a.i >= len(a.args) {
				return nil, fmt.Errorf("\"!\" at the end")
			}
		}
		opt := a.args[a.i]
		a.i++
		if err := a.option(opt, not); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (a *argReader) option(opt string, not bool) error {
	r := a.rule
	take := func(key string, set func(string) error) error {
		v, err := a.next(opt)
		if err != nil {
			return err
		}
		if key != "" {
			r.not[key] = not
		} else if not {
			return fmt.Errorf("%s can't be negated", opt)
		}
		return set(v)
	}
	switch opt {
	case "-s", "--source", "--src":
		return take("src", func(v string) (err error) { r.src, err = r.prefix(v); return err })
	case "-d", "--destination", "--dst":
		return take("dst", func(v string) (err error) { r.dst, err = r.prefix(v); return err })
	case "-i", "--in-interface":
		return take("in", func(v string) (err error) { r.in, err = device(v); return err })
	case "-o", "--out-interface":
		return take("out", func(v string) (err error) { r.out, err = device(v); return err })
	case "-p", "--protocol", "--proto":
		return take("proto", func(v string) (err error) { r.proto, err = protoNumber(v); return err })
	case "-m", "--match":
		return take("", r.load)
	case "-j", "--jump":
		return take("", func(v string) error { return a.target(v) })
	case "-g", "--goto":
		return take("", func(v string) error { r.verdict = &snap.Verdict{Code: "goto", Chain: v}; return nil })
	}
	return a.matchOption(opt, not)
}

// prefix reads an address with an optional length; names are not looked up.
func (r *ipRule) prefix(v string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(v)
	if err != nil {
		a, err := netip.ParseAddr(v)
		if err != nil {
			return p, fmt.Errorf("address %q: %w", v, err)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is6() != r.v6 {
		return p, fmt.Errorf("address %s is of the other family", v)
	}
	if p.Bits() == 0 {
		return netip.Prefix{}, nil
	}
	return p.Masked(), nil
}

func device(v string) (string, error) {
	if v == "" || len(v) > 15 {
		return "", fmt.Errorf("device name %q", v)
	}
	if v == "+" {
		return "", nil
	}
	return v, nil
}

func protoNumber(v string) (uint8, error) {
	if v == "all" {
		return 0, nil
	}
	if v == "ipv6-icmp" {
		v = "icmpv6"
	}
	if n, ok := protoNumbers()[strings.ToLower(v)]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(v, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("protocol %q: %w", v, snap.ErrUnsupported)
	}
	return uint8(n), nil
}

// compileArgs is the rule as iptables-nft or iptables-legacy puts it into the
// kernel.
func compileArgs(sys snap.System, fam snap.Family, args []string, ipsets map[string]int) (snap.Rule, error) {
	r, err := parseArgs(fam == snap.IPv6, args, ipsets)
	if err != nil {
		return snap.Rule{}, err
	}
	if fam != snap.IPv4 && fam != snap.IPv6 {
		return snap.Rule{}, fmt.Errorf("family %s of iptables: %w", fam, snap.ErrUnsupported)
	}
	out := snap.Rule{Comment: r.comment}
	if sys == snap.IPTablesLegacy {
		out.Exprs = r.legacy()
	} else if out.Exprs, err = r.nft(); err != nil {
		return snap.Rule{}, err
	}
	return out, nil
}

// legacy is the rule in ip_tables' shape.
func (r *ipRule) legacy() snap.Exprs {
	e := &snap.XtEntry{
		Src: r.src, Dst: r.dst, InIf: r.in, OutIf: r.out, Proto: uint16(r.proto), HasProto: r.v6 && r.proto != 0,
		Goto: r.verdict != nil && r.verdict.Code == "goto",
	}
	for _, k := range []string{"in", "out", "tos", "src", "dst", "frag", "proto"} { // the order of IPT_INV_*
		if r.not[k] {
			e.Inv = append(e.Inv, k)
		}
	}
	out := snap.Exprs{e}
	for _, m := range r.matches {
		if x := m.blob(); x != nil {
			out = append(out, x)
		}
	}
	if r.target != nil {
		return append(out, r.target)
	}
	if r.verdict != nil {
		out = append(out, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: r.verdict})
	}
	return out
}
