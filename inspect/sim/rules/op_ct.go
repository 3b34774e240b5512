package rules

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Bits of ct state (include/uapi/linux/netfilter/nf_conntrack_common.h).
const (
	ctInvalid     = 1
	ctEstablished = 2
	ctRelated     = 4
	ctNew         = 8
	ctUntracked   = 64
)

// tracked says whether a connection is attached to the packet.
//
//go:noinline
func (c *CT) tracked() bool {
	return c.State == "new" || c.State == "established" || c.State == "related"
}

// stateBit is NF_CT_STATE_BIT of the packet: without a connection it is
// invalid, also where conntrack has not run.
func (c *CT) stateBit() uint32 {
	switch c.State {
	case "new":
		return ctNew
	case "established":
		return ctEstablished
	case "related":
		return ctRelated
	case "untracked":
		return ctUntracked
	}
	return ctInvalid
}

// Bits of ct status (enum ip_conntrack_status, the same file). A packet meets no
// connection that is dying or a template.
const (
	ipsExpected = 1 << iota
	ipsSeenReply
	ipsAssured
	ipsConfirmed
	ipsSrcNAT
	ipsDstNAT
	ipsSeqAdjust
	ipsSrcNATDone
	ipsDstNATDone
	_ // IPS_DYING
	ipsFixedTimeout
	_ // IPS_TEMPLATE
	ipsNATClash
	ipsHelper
	ipsOffload
	ipsHWOffload
)

// status is the connection's status bits, and those of them that are not known.
func (c *CT) status() (v, unknown uint32) {
	for _, b := range [...]struct {
		on  bool
		bit uint32
	}{{c.SeenReply, ipsSeenReply}, {c.Assured, ipsAssured}, {c.Confirmed, ipsConfirmed}, {c.SNAT, ipsSrcNAT}, {c.DNAT, ipsDstNAT}} {
		if b.on {
			v |= b.bit
		}
	}
	unknown = ipsExpected | ipsSeqAdjust | ipsSrcNATDone | ipsDstNATDone | ipsFixedTimeout | ipsNATClash | ipsHelper | ipsOffload | ipsHWOffload
	if c.State == "new" {
		unknown &^= ipsExpected | ipsSeqAdjust | ipsOffload | ipsHWOffload
	}
	return v, unknown
}

// ctOp reads or sets a property of the connection (net/netfilter/nft_ct.c).
type ctOp struct{ *snap.Ct }

func (o ctOp) exec(m *machine) ctl {
	c := &m.pkt.CT
	if o.Dreg == snap.NoReg {
		return o.write(m)
	}
	if o.Key == "state" {
		m.store32(o.Dreg, c.stateBit())
		return goOn
	}
	if !c.tracked() {
		return leave
	}
	switch o.Key {
	case "direction":
		m.store8(o.Dreg, byte(bit16(c.Reply, 1)))
	case "status":
		v, unknown := c.status()
		m.store32masked(o.Dreg, v, unknown, "ct status")
	case "mark":
		m.store32masked(o.Dreg, c.Mark, c.MarkUnknown, "the connection's mark")
	case "l3proto":
		n := uint8(2)
		if m.pkt.Family == snap.IPv6 {
			n = 10
		}
		m.store8(o.Dreg, n)
	case "proto":
		if snap.IsICMP(m.pkt.Proto) {
			if c.State == "related" {
				return o.hidden(m, 1) // an error belongs to the connection it is about
			}
		}
		m.store8(o.Dreg, m.pkt.Proto)
	case "zone":
		z := c.Zone
		if o.Dir != "" && c.ZoneDir != "" && o.Dir != c.ZoneDir {
			z = 0 // nf_ct_zone_id
		}
		m.store(o.Dreg, []byte{byte(z), byte(z >> 8)})
	case "helper":
		return o.helper(m)
	case "label":
		switch {
		case c.Label != nil:
			m.store(o.Dreg, pad(c.Label, 16)[:16])
		case c.State == "new":
			m.store(o.Dreg, make([]byte, 16))
		default:
			return o.hidden(m, 16)
		}
	case "pkts", "bytes", "avgpkt":
		v, known := c.amount(o.Key, o.Dir)
		if !known {
			return o.hidden(m, 8)
		}
		m.store(o.Dreg, binary.NativeEndian.AppendUint64(nil, v))
	case "expiration", "secmark", "id":
		return o.hidden(m, 4)
	case "src", "dst", "src-ip", "dst-ip", "src-ip6", "dst-ip6", "proto-src", "proto-dst":
		return o.tuple(m)
	default:
		m.forget(o.Dreg, 16, "ct "+o.Key)
		return m.ask(unsure("whether the connection has ct " + o.Key))
	}
	return goOn
}

//go:noinline
func (o ctOp) hidden(m *machine, n int) ctl {
	m.forget(o.Dreg, n, "ct "+o.Key)
	return goOn
}

// helper is the helper of the master connection, which only expected ones have.
func (o ctOp) helper(m *machine) ctl {
	c := &m.pkt.CT
	switch {
	case c.State == "new" || snap.IsICMP(m.pkt.Proto):
		return leave
	case c.Helper != "" && c.State == "related":
		var b [16]byte
		copy(b[:15], c.Helper)
		m.store(o.Dreg, b[:])
		return goOn
	}
	m.forget(o.Dreg, 16, "ct helper")
	return m.ask(unsure("whether a helper expected the connection"))
}

// tuple reads an address or port of one direction.
func (o ctOp) tuple(m *machine) ctl {
	t := m.pkt.CT.Orig
	if o.Dir == "reply" {
		t = m.pkt.CT.ReplyTuple
	}
	ap := t.Dst
	if strings.HasPrefix(o.Key, "src") || o.Key == "proto-src" {
		ap = t.Src
	}
	six := strings.HasSuffix(o.Key, "-ip6")
	if four := strings.HasSuffix(o.Key, "-ip"); four && m.pkt.Family != snap.IPv4 || six && m.pkt.Family != snap.IPv6 {
		return leave
	}
	ports := o.Key == "proto-src" || o.Key == "proto-dst"
	switch {
	case ap == (netip.AddrPort{}) && ports:
		return o.hidden(m, 2)
	case !ap.Addr().IsValid() && !ports:
		return o.hidden(m, 16)
	case ports:
		m.storeBE16(o.Dreg, ap.Port())
	default:
		m.store(o.Dreg, ap.Addr().AsSlice())
	}
	return goOn
}

func (o ctOp) write(m *machine) ctl {
	c := &m.pkt.CT
	if o.Key == "zone" {
		if v, unknown, ok := m.load32(o.Sreg); ok && !c.tracked() {
			if unknown&0xffff != 0 {
				return m.unknown("ct zone set to " + m.whyReg(o.Sreg, 2))
			}
			c.Zone, c.ZoneDir = uint16(v), o.Dir
		}
		return goOn
	}
	if !c.tracked() {
		return goOn
	}
	switch o.Key {
	case "mark":
		v, unknown, ok := m.load32(o.Sreg)
		if !ok {
			return m.unknown("ct mark set")
		}
		c.Mark, c.MarkUnknown = v, unknown
	case "label":
		if v, ok := m.loadKnown(o.Sreg, 16); ok {
			c.Label = slices.Clone(v)
		} else {
			c.Label = nil
		}
	case "event", "secmark":
	default:
		return m.unknown("ct " + o.Key + " set")
	}
	return goOn
}

// notrack takes the packet out of connection tracking (net/netfilter/nft_ct.c:nft_notrack_eval).
func notrack(m *machine) ctl {
	if m.pkt.CT.State == "" {
		m.pkt.CT.State = "untracked"
		m.notrack = true
	}
	return goOn
}
