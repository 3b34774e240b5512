package fixups

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// load loads an extension, as -m does.
func (r *ipRule) load(name string) error {
	switch name {
	case "tcp", "udp", "sctp", "icmp", "icmp6", "icmpv6", "conntrack", "state", "addrtype", "comment", "multiport", "mark", "set":
		if name == "icmpv6" {
			name = "icmp6"
		}
		for i := range r.matches {
			if r.matches[i].name == name {
				return nil
			}
		}
		r.matches = append(r.matches, ipMatch{name: name})
		return nil
	}
	return fmt.Errorf("match %s: %w", name, snap.ErrUnsupported)
}

// match is the extension, which must be loaded; those that -p implies are
// loaded now.
func (r *ipRule) match(opt string, names ...string) (*ipMatch, error) {
	for i := range r.matches {
		if slices.Contains(names, r.matches[i].name) {
			return &r.matches[i], nil
		}
	}
	implied := map[uint8]string{6: "tcp", 17: "udp", 132: "sctp", 1: "icmp", 58: "icmp6"}[r.proto]
	for _, n := range names {
		if n == implied && !r.not["proto"] {
			r.matches = append(r.matches, ipMatch{name: n})
			return &r.matches[len(r.matches)-1], nil
		}
	}
	return nil, fmt.Errorf("option %s without its match: %w", opt, snap.ErrUnsupported)
}

func (a *argReader) matchOption(opt string, not bool) error {
	r := a.rule
	with := func(names ...string) (*ipMatch, string, error) {
		m, err := r.match(opt, names...)
		if err != nil {
			return nil, "", err
		}
		v, err := a.next(opt)
		return m, v, err
	}
	switch opt {
	case "--sport", "--source-port", "--dport", "--destination-port":
		m, v, err := with("tcp", "udp", "sctp")
		if err != nil {
			return err
		}
		return m.port(opt, v, not)
	case "--tcp-flags", "--syn":
		return a.tcpFlags(opt, not)
	case "--icmp-type", "--icmpv6-type":
		m, v, err := with("icmp", "icmp6")
		if err != nil {
			return err
		}
		m.xt, err = icmpBlob(m.name, v, not)
		return err
	case "--ctstate", "--state", "--ctstatus", "--ctorigdst", "--ctorigsrc", "--ctorigdstport", "--ctorigsrcport", "--ctdir":
		m, v, err := with("conntrack", "state")
		if err != nil {
			return err
		}
		return m.conntrack(opt, v, not)
	case "--src-type", "--dst-type":
		m, v, err := with("addrtype")
		if err != nil {
			return err
		}
		return m.addrtype(opt, v, not)
	case "--limit-iface-in", "--limit-iface-out":
		m, err := r.match(opt, "addrtype")
		if err != nil {
			return err
		}
		m.grow("addrtype", 1, 8)
		m.xt.Info[4] |= map[string]byte{"--limit-iface-in": 4, "--limit-iface-out": 8}[opt]
		return nil
	case "--comment":
		m, v, err := with("comment")
		if err != nil {
			return err
		}
		if len(v) > 255 {
			return fmt.Errorf("comment of %d bytes", len(v))
		}
		r.comment = v
		m.xt = &snap.Xt{Name: "comment", Info: make([]byte, 256)}
		copy(m.xt.Info, v)
		return nil
	case "--dports", "--destination-ports", "--sports", "--source-ports", "--ports":
		m, v, err := with("multiport")
		if err != nil {
			return err
		}
		m.xt, err = multiportBlob(opt, v, not)
		return err
	case "--match-set":
		m, v, err := with("set")
		if err != nil {
			return err
		}
		return a.matchSet(m, v, not)
	case "--mark":
		m, v, err := with("mark")
		if err != nil {
			return err
		}
		m.mark, err = markOf(v, not)
		return err
	}
	return fmt.Errorf("option %s: %w", opt, snap.ErrUnsupported)
}

// ports reads N or N:M.
func ports(v string) (p [2]uint16, err error) {
	lo, hi, ranged := strings.Cut(v, ":")
	n, err := strconv.ParseUint(lo, 10, 16)
	if lo == "" && ranged {
		n, err = 0, nil
	}
	if err != nil {
		return p, fmt.Errorf("port %q: %w", v, snap.ErrUnsupported)
	}
	p = [2]uint16{uint16(n), uint16(n)}
	if ranged {
		p[1] = 0xffff
		if hi != "" {
			if n, err = strconv.ParseUint(hi, 10, 16); err != nil || uint16(n) < p[0] {
				return p, fmt.Errorf("ports %q", v)
			}
			p[1] = uint16(n)
		}
	}
	return p, nil
}

func (m *ipMatch) port(opt, v string, not bool) error {
	p, err := ports(v)
	if err != nil {
		return err
	}
	if m.ports == nil {
		m.ports = &portMatch{}
	}
	if strings.HasPrefix(opt, "--s") {
		m.ports.src, m.ports.hasSrc, m.ports.notSrc = p, true, not
	} else {
		m.ports.dst, m.ports.hasDst, m.ports.notDst = p, true, not
	}
	return nil
}

func (a *argReader) tcpFlags(opt string, not bool) error {
	m, err := a.rule.match(opt, "tcp")
	if err != nil {
		return err
	}
	mask, cmp := "SYN,RST,ACK,FIN", "SYN"
	if opt == "--tcp-flags" {
		if mask, err = a.next(opt); err != nil {
			return err
		}
		if cmp, err = a.next(opt); err != nil {
			return err
		}
	}
	f := &flagMatch{not: not}
	if f.mask, err = tcpFlagBits(mask); err != nil {
		return err
	}
	f.cmp, err = tcpFlagBits(cmp)
	m.flags = f
	return err
}

func tcpFlagBits(v string) (uint8, error) {
	var out uint8
	for _, w := range strings.Split(v, ",") {
		switch w {
		case "ALL":
			out |= 0x3f
		case "NONE":
		default:
			b := map[string]uint8{"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}[w]
			if b == 0 {
				return 0, fmt.Errorf("TCP flag %q: %w", w, snap.ErrUnsupported)
			}
			out |= b
		}
	}
	return out, nil
}

// grow makes the extension's struct on its first option.
func (m *ipMatch) grow(name string, rev uint8, size int) {
	if m.xt == nil {
		m.xt = &snap.Xt{Name: name, Rev: rev, Info: make([]byte, (size+7)&^7)}
	}
}

// conntrack fills struct xt_conntrack_mtinfo3
// (include/uapi/linux/netfilter/xt_conntrack.h).
func (m *ipMatch) conntrack(opt, v string, not bool) error {
	m.grow("conntrack", 3, 164)
	b := m.xt.Info
	flag := uint16(0)
	switch opt {
	case "--ctstate", "--state":
		flag = 1
		if opt == "--state" {
			flag |= 1 << 13 // XT_CONNTRACK_STATE_ALIAS
		}
		bits, err := nameBits(v, map[string]uint16{
			"INVALID": 1, "ESTABLISHED": 2, "RELATED": 4, "NEW": 8, "SNAT": 1 << 6, "DNAT": 1 << 7, "UNTRACKED": 1 << 8,
		})
		if err != nil {
			return err
		}
		native.PutUint16(b[150:], bits)
	case "--ctstatus":
		flag = 1 << 6
		bits, err := nameBits(v, map[string]uint16{"NONE": 0, "EXPECTED": 1, "SEEN_REPLY": 2, "ASSURED": 4, "CONFIRMED": 8})
		if err != nil {
			return err
		}
		native.PutUint16(b[152:], bits)
	case "--ctorigsrc", "--ctorigdst":
		flag = 1 << 2
		at := 0
		if opt == "--ctorigdst" {
			flag, at = 1<<3, 32
		}
		p, err := netip.ParsePrefix(v)
		if err != nil {
			ip, err := netip.ParseAddr(v)
			if err != nil {
				return fmt.Errorf("address %q: %w", v, err)
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		copy(b[at:], p.Masked().Addr().AsSlice())
		copy(b[at+16:], maskBytes(p.Bits(), p.Addr().BitLen()/8))
	case "--ctorigsrcport", "--ctorigdstport":
		p, err := ports(v)
		if err != nil {
			return err
		}
		flag = 1 << 8
		at := 138
		if opt == "--ctorigdstport" {
			flag, at = 1<<9, 140
		}
		native.PutUint16(b[at:], p[0])
		native.PutUint16(b[at+16:], p[1])
	case "--ctdir":
		flag = 1 << 12
		switch v {
		case "ORIGINAL":
		case "REPLY":
			not = !not
		default:
			return fmt.Errorf("direction %q: %w", v, snap.ErrUnsupported)
		}
	}
	native.PutUint16(b[146:], native.Uint16(b[146:])|flag)
	if not {
		native.PutUint16(b[148:], native.Uint16(b[148:])|flag&^(1<<13))
	}
	return nil
}

// nameBits reads a list of names as bits.
func nameBits(v string, names map[string]uint16) (uint16, error) {
	var out uint16
	for _, w := range strings.Split(v, ",") {
		b, ok := names[strings.ToUpper(w)]
		if !ok {
			return 0, fmt.Errorf("%q: %w", w, snap.ErrUnsupported)
		}
		out |= b
	}
	return out, nil
}

// addrtype fills struct xt_addrtype_info_v1.
func (m *ipMatch) addrtype(opt, v string, not bool) error {
	m.grow("addrtype", 1, 8)
	bits, err := nameBits(v, map[string]uint16{
		"UNSPEC": 1, "UNICAST": 2, "LOCAL": 4, "BROADCAST": 8, "ANYCAST": 16, "MULTICAST": 32, "BLACKHOLE": 64,
		"UNREACHABLE": 128, "PROHIBIT": 256, "THROW": 512, "NAT": 1024, "XRESOLVE": 2048,
	})
	if err != nil {
		return err
	}
	at, inv := 0, byte(1)
	if opt == "--dst-type" {
		at, inv = 2, 2
	}
	native.PutUint16(m.xt.Info[at:], bits)
	if not {
		m.xt.Info[4] |= inv
	}
	return nil
}

// matchSet fills struct xt_set_info_match_v4 (include/uapi/linux/netfilter/xt_set.h),
// which names the set by its number.
func (a *argReader) matchSet(m *ipMatch, name string, not bool) error {
	n, known := a.rule.ipsets[name]
	if !known {
		return fmt.Errorf("ipset %s, whose number is not known: %w", name, snap.ErrUnsupported)
	}
	dirs, err := a.next("--match-set")
	if err != nil {
		return err
	}
	m.grow("set", 4, 48)
	b := m.xt.Info
	native.PutUint16(b, uint16(n))
	for _, d := range strings.Split(dirs, ",") {
		switch b[2]++; d { // the dimensions; the flags are IPSET_DIM_ONE_SRC and on
		case "src":
			b[3] |= 1 << b[2]
		case "dst":
		default:
			return fmt.Errorf("%q of ipset %s: %w", d, name, snap.ErrUnsupported)
		}
	}
	b[3] |= flagByte(not) // IPSET_INV_MATCH
	return nil
}

func markOf(v string, not bool) (*markMatch, error) {
	val, mask, has := strings.Cut(v, "/")
	m := &markMatch{mask: 0xffffffff, not: not}
	n, err := strconv.ParseUint(val, 0, 32)
	if err != nil {
		return nil, fmt.Errorf("mark %q: %w", v, err)
	}
	m.mark = uint32(n)
	if has {
		if n, err = strconv.ParseUint(mask, 0, 32); err != nil {
			return nil, fmt.Errorf("mark %q: %w", v, err)
		}
		m.mask = uint32(n)
	}
	return m, nil
}
