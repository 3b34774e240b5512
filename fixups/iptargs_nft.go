package fixups

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nftProg collects expressions the way nft and iptables-nft write them: what is
// compared goes through the first register.
type nftProg struct{ out snap.Exprs }

func (p *nftProg) add(e ...snap.Expr) { p.out = append(p.out, e...) }

func (p *nftProg) meta(key string) { p.add(&snap.Meta{Key: key, Dreg: 0, Sreg: snap.NoReg}) }

func (p *nftProg) cmp(not bool, data []byte) {
	op := "=="
	if not {
		op = "!="
	}
	p.add(&snap.Cmp{Sreg: 0, Op: op, Data: data})
}

func (p *nftProg) payload(base string, off, n int) {
	p.add(&snap.Payload{Base: base, Offset: off, Len: n, Dreg: 0, Sreg: snap.NoReg})
}

func (p *nftProg) mask(mask []byte) {
	p.add(&snap.Bitwise{Sreg: 0, Sreg2: snap.NoReg, Dreg: 0, Len: len(mask), Op: "mask-xor", Mask: mask, Xor: make([]byte, len(mask))})
}

func (p *nftProg) l4proto(not bool, n uint8) {
	p.meta("l4proto")
	p.cmp(not, []byte{n})
}

// prefix compares an address; a length of whole bytes needs no mask
// (iptables/nft-shared.c:add_addr, nftables src/netlink_linearize.c).
func (p *nftProg) prefix(off int, not bool, pre netip.Prefix) {
	if !pre.IsValid() {
		return
	}
	b := pre.Addr().AsSlice()
	if pre.Bits()%8 == 0 {
		p.payload("nh", off, pre.Bits()/8)
		p.cmp(not, b[:pre.Bits()/8])
		return
	}
	p.payload("nh", off, len(b))
	p.mask(maskBytes(pre.Bits(), len(b)))
	p.cmp(not, b)
}

// srcDst are the offsets of the addresses in the header.
func srcDst(v6 bool) (src, dst int) {
	if v6 {
		return 8, 24
	}
	return 12, 16
}

// portTest compares a port, or a range of them.
func (p *nftProg) portTest(off int, not bool, r [2]uint16) {
	p.payload("th", off, 2)
	lo, hi := binary.BigEndian.AppendUint16(nil, r[0]), binary.BigEndian.AppendUint16(nil, r[1])
	switch {
	case r[0] == r[1]:
		p.cmp(not, lo)
	case not:
		p.add(&snap.Range{Sreg: 0, Op: "!=", From: lo, To: hi})
	default:
		p.add(&snap.Range{Sreg: 0, Op: "==", From: lo, To: hi})
	}
}

// verdict ends a rule.
func (p *nftProg) verdict(v *snap.Verdict) {
	p.add(&snap.Immediate{Dreg: snap.VerdictReg, Verdict: v})
}

// nft is the rule in iptables-nft's shape (iptables/nft-ipv4.c:nft_ipv4_add, as
// of 1.8.9): devices, protocol, addresses, matches in their order, counter,
// target.
func (r *ipRule) nft() (snap.Exprs, error) {
	p := &nftProg{}
	for _, d := range []struct{ key, dev, not string }{{"iifname", r.in, "in"}, {"oifname", r.out, "out"}} {
		if d.dev == "" {
			continue
		}
		p.meta(d.key)
		if prefix, ok := strings.CutSuffix(d.dev, "+"); ok {
			p.cmp(r.not[d.not], []byte(prefix))
		} else {
			p.cmp(r.not[d.not], append([]byte(d.dev), 0))
		}
	}
	if r.proto != 0 {
		p.l4proto(r.not["proto"], r.proto)
	}
	src, dst := srcDst(r.v6)
	p.prefix(src, r.not["src"], r.src)
	p.prefix(dst, r.not["dst"], r.dst)
	for _, m := range r.matches {
		if err := p.match(&m); err != nil {
			return nil, err
		}
	}
	p.add(&snap.Counter{})
	switch {
	case r.target != nil:
		p.add(r.target)
	case r.verdict != nil:
		p.verdict(r.verdict)
	}
	return p.out, nil
}

func (p *nftProg) match(m *ipMatch) error {
	switch m.name {
	case "tcp", "udp":
		if m.ports != nil && m.ports.hasSrc {
			p.portTest(0, m.ports.notSrc, m.ports.src)
		}
		if m.ports != nil && m.ports.hasDst {
			p.portTest(2, m.ports.notDst, m.ports.dst)
		}
		if m.flags != nil { // byte 13 of the header; the mask keeps it to the flags
			p.payload("th", 13, 1)
			p.mask([]byte{m.flags.mask})
			p.cmp(m.flags.not, []byte{m.flags.cmp})
		}
		return nil
	case "mark":
		if m.mark == nil {
			return nil
		}
		p.meta("mark")
		if m.mark.mask != 0xffffffff {
			p.mask(native.AppendUint32(nil, m.mark.mask))
		}
		p.cmp(m.mark.not, native.AppendUint32(nil, m.mark.mark))
		return nil
	}
	x := m.blob()
	if x == nil {
		if m.name == "icmp" || m.name == "icmp6" || m.name == "sctp" {
			return fmt.Errorf("match %s without an option: %w", m.name, snap.ErrUnsupported)
		}
		return nil
	}
	p.add(x)
	return nil
}
