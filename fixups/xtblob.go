package fixups

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// native is the byte order of the kernel's own structs.
var native = binary.NativeEndian

// maskBytes is a netmask of n bytes.
func maskBytes(bits, n int) []byte {
	b := make([]byte, n)
	for i := range bits {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return b
}

// blob is the match as an xt extension, nil for one that tests nothing.
func (m *ipMatch) blob() *snap.Xt {
	switch m.name {
	case "tcp", "udp", "sctp":
		return m.portBlob()
	case "mark":
		if m.mark == nil {
			return nil
		}
		b := make([]byte, 16) // struct xt_mark_mtinfo1
		native.PutUint32(b, m.mark.mark)
		native.PutUint32(b[4:], m.mark.mask)
		b[8] = flagByte(m.mark.not)
		return &snap.Xt{Name: "mark", Rev: 1, Info: b}
	}
	return m.xt
}

func flagByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// portBlob is struct xt_tcp, xt_udp (include/uapi/linux/netfilter/xt_tcpudp.h)
// or xt_sctp_info.
func (m *ipMatch) portBlob() *snap.Xt {
	p := m.ports
	if p == nil {
		p = &portMatch{}
	}
	src, dst := p.src, p.dst
	if !p.hasSrc {
		src = [2]uint16{0, 0xffff}
	}
	if !p.hasDst {
		dst = [2]uint16{0, 0xffff}
	}
	b := make([]byte, 16)
	if m.name == "sctp" {
		b = make([]byte, 292) // include/uapi/linux/netfilter/xt_sctp.h: dpts first
		src, dst = dst, src
	}
	for i, v := range [4]uint16{src[0], src[1], dst[0], dst[1]} {
		native.PutUint16(b[2*i:], v)
	}
	inv := flagByte(p.notSrc) | flagByte(p.notDst)<<1
	switch m.name {
	case "udp":
		b[8] = inv
	case "sctp": // ports are only looked at where the flags say so
		native.PutUint32(b[284:], uint32(flagByte(p.hasSrc)|flagByte(p.hasDst)<<1))
		native.PutUint32(b[288:], uint32(inv))
	case "tcp":
		if m.flags != nil {
			b[9], b[10] = m.flags.mask, m.flags.cmp
			inv |= flagByte(m.flags.not) << 2 // XT_TCP_INV_FLAGS
		}
		b[11] = inv
	}
	return &snap.Xt{Name: m.name, Info: b}
}

// icmpBlob is struct ipt_icmp or ip6t_icmp.
func icmpBlob(name, v string, not bool) (*snap.Xt, error) {
	typ, code, has := strings.Cut(v, "/")
	known := map[string][2]int{
		"echo-request": {8, -1}, "echo-reply": {0, -1}, "destination-unreachable": {3, -1}, "fragmentation-needed": {3, 4}, "time-exceeded": {11, -1},
	}
	if name == "icmp6" {
		known = map[string][2]int{
			"echo-request": {128, -1}, "echo-reply": {129, -1}, "packet-too-big": {2, -1}, "destination-unreachable": {1, -1},
			"neighbour-solicitation": {135, -1}, "neighbour-advertisement": {136, -1}, "router-advertisement": {134, -1},
		}
	}
	b := make([]byte, 8)
	b[1], b[2], b[3] = 0, 255, flagByte(not)
	if k, ok := known[v]; ok {
		b[0] = byte(k[0])
		if k[1] >= 0 {
			b[1], b[2] = byte(k[1]), byte(k[1])
		}
		return &snap.Xt{Name: name, Info: b}, nil
	}
	n, err := strconv.ParseUint(typ, 10, 8)
	if err != nil {
		return nil, fmt.Errorf("ICMP type %q: %w", v, snap.ErrUnsupported)
	}
	b[0] = byte(n)
	if has {
		if n, err = strconv.ParseUint(code, 10, 8); err != nil {
			return nil, fmt.Errorf("ICMP type %q: %w", v, snap.ErrUnsupported)
		}
		b[1], b[2] = byte(n), byte(n)
	}
	return &snap.Xt{Name: name, Info: b}, nil
}

// multiportBlob is struct xt_multiport_v1.
func multiportBlob(opt, v string, not bool) (*snap.Xt, error) {
	b := make([]byte, 48)
	switch {
	case strings.HasPrefix(opt, "--d"):
		b[0] = 1
	case opt == "--ports":
		b[0] = 2
	}
	n := 0
	for _, w := range strings.Split(v, ",") {
		p, err := ports(w)
		if err != nil {
			return nil, err
		}
		list := p[:1]
		if p[0] != p[1] {
			list = p[:]
		}
		if n+len(list) > 15 {
			return nil, fmt.Errorf("more than 15 ports")
		}
		if len(list) == 2 {
			b[32+n] = 1 // pflags: a range begins here
		}
		for _, x := range list {
			native.PutUint16(b[2+2*n:], x)
			n++
		}
	}
	b[1], b[47] = byte(n), flagByte(not)
	return &snap.Xt{Name: "multiport", Rev: 1, Info: b}, nil
}

// Flags of struct nf_nat_range (include/uapi/linux/netfilter/nf_nat.h).
const (
	natMapIPs    = 1
	natProtoSpec = 2
	natRandom    = 4
	natPersist   = 8
)

// natArg is the argument of DNAT, SNAT, MASQUERADE and REDIRECT.
type natArg struct {
	flags    uint32
	min, max netip.Addr
	lo, hi   uint16
}

// natRead reads ADDR, ADDR:PORT, [ADDR]:PORT, :PORT or a port alone.
func natRead(v string, v6 bool) (n natArg, err error) {
	host, port := v, ""
	switch {
	case strings.HasPrefix(v, "["):
		end := strings.IndexByte(v, ']')
		if end < 0 {
			return n, fmt.Errorf("address %q", v)
		}
		host, port = v[1:end], strings.TrimPrefix(v[end+1:], ":")
	case !v6 && strings.Contains(v, ":"):
		host, port, _ = strings.Cut(v, ":")
	}
	if host != "" {
		lo, hi, ranged := strings.Cut(host, "-")
		if n.min, err = netip.ParseAddr(lo); err != nil {
			return n, fmt.Errorf("address %q: %w", v, err)
		}
		n.max = n.min
		if ranged {
			if n.max, err = netip.ParseAddr(hi); err != nil {
				return n, fmt.Errorf("address %q: %w", v, err)
			}
		}
		if n.min.Is6() != v6 || n.max.Is6() != v6 {
			return n, fmt.Errorf("address %q is of the other family", v)
		}
		n.flags |= natMapIPs
	}
	if port != "" {
		err = n.ports(port)
	}
	return n, err
}

func (n *natArg) ports(v string) error {
	p, err := ports(strings.ReplaceAll(v, "-", ":"))
	n.lo, n.hi = p[0], p[1]
	n.flags |= natProtoSpec
	return err
}

// blob4 is struct nf_nat_ipv4_multi_range_compat with one range.
func (n natArg) blob4() []byte {
	b := make([]byte, 24)
	native.PutUint32(b, 1)
	native.PutUint32(b[4:], n.flags)
	copy(b[8:12], n.min.AsSlice())
	copy(b[12:16], n.max.AsSlice())
	binary.BigEndian.PutUint16(b[16:], n.lo)
	binary.BigEndian.PutUint16(b[18:], n.hi)
	return b
}

// blob is struct nf_nat_range (40 bytes) or nf_nat_range2 (44, padded to 48).
func (n natArg) blob(size int) []byte {
	b := make([]byte, size)
	native.PutUint32(b, n.flags)
	copy(b[4:20], n.min.AsSlice())
	copy(b[20:36], n.max.AsSlice())
	binary.BigEndian.PutUint16(b[36:], n.lo)
	binary.BigEndian.PutUint16(b[38:], n.hi)
	return b
}
