package firewall

import (
	"net/netip"
	"time"
)

// ConntrackTest is what a conntrack match tests (XT_CONNTRACK_*).
type ConntrackTest uint16

// The tests.
const (
	CTState ConntrackTest = 1 << iota
	CTProto
	CTOrigSrc
	CTOrigDst
	CTReplSrc
	CTReplDst
	CTStatus
	CTExpires
	CTOrigSrcPort
	CTOrigDstPort
	CTReplSrcPort
	CTReplDstPort
	CTDirection
	ctStateAlias // written as the state match; means the same as conntrack
)

// ConntrackMatch is xt_conntrack_mtinfo1 to 3.
type ConntrackMatch struct {
	Match  ConntrackTest // all of these must hold
	Invert ConntrackTest // these are negated
	// States are of "INVALID", "ESTABLISHED", "RELATED", "NEW", "SNAT", "DNAT",
	// "UNTRACKED"; one of them must be so. SNAT and DNAT are properties of the
	// connection, not states (net/netfilter/xt_conntrack.c).
	States []string
	// Status are of "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"; one of them
	// must be set. Empty with CTStatus: none may be.
	Status                             []string
	Proto                              uint16
	OrigSrc, OrigDst, ReplSrc, ReplDst Masked
	OrigSrcPort, OrigDstPort           PortRange
	ReplSrcPort, ReplDstPort           PortRange
	ExpiresMin, ExpiresMax             time.Duration
	stateAlias                         bool
}

// Has says whether the match makes the test.
func (m *ConntrackMatch) Has(t ConntrackTest) bool { return m.Match&t != 0 }

// Inverted says whether a test is negated. For CTDirection inverted means the
// reply direction.
func (m *ConntrackMatch) Inverted(t ConntrackTest) bool { return m.Invert&t != 0 }

func (d *blob) conntrack() any {
	d.revs(1, 3)
	switch d.rev {
	case 1:
		d.size(152)
	case 2:
		d.size(156)
	case 3:
		d.size(164)
	}
	if d.bad {
		return nil
	}
	m := &ConntrackMatch{
		Match: ConntrackTest(d.u16(146)), Invert: ConntrackTest(d.u16(148)), Proto: d.u16(136),
		OrigSrc: d.masked(0, 16), OrigDst: d.masked(32, 48), ReplSrc: d.masked(64, 80), ReplDst: d.masked(96, 112),
		ExpiresMin: time.Duration(d.u32(128)) * time.Second, ExpiresMax: time.Duration(d.u32(132)) * time.Second,
	}
	d.only(uint64(m.Match|m.Invert), 1<<14-1)
	m.stateAlias = m.Match&ctStateAlias != 0
	m.Match &^= ctStateAlias
	state, status := uint32(d.u16(150)), uint32(d.u16(152))
	if d.rev == 1 {
		state, status = uint32(d.u8(150)), uint32(d.u8(151))
	}
	if m.Has(CTState) {
		m.States = d.names(state, ctStateNames)
	}
	if m.Has(CTStatus) {
		m.Status = d.names(status, ctStatusNames)
	}
	for i, p := range []*PortRange{&m.OrigSrcPort, &m.OrigDstPort, &m.ReplSrcPort, &m.ReplDstPort} {
		if d.rev == 3 {
			*p = PortRange{d.u16(138 + 2*i), d.u16(154 + 2*i)}
		} else {
			*p = PortRange{d.be16(138 + 2*i), d.be16(138 + 2*i)}
		}
	}
	return m
}

// Bits of the states: XT_CONNTRACK_STATE_BIT(ctinfo) is 1 << (ctinfo%3 + 1).
var (
	ctStateNames  = []string{"INVALID", "ESTABLISHED", "RELATED", "NEW", "", "", "SNAT", "DNAT", "UNTRACKED"}
	ctStatusNames = []string{"EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"}
	stateNames    = []string{"INVALID", "ESTABLISHED", "RELATED", "NEW", "", "", "UNTRACKED"}
)

// names lists the names of bits; one without a name makes the struct unknown.
func (d *blob) names(bits uint32, names []string) []string {
	var list []string
	for i := range 32 {
		if bits&(1<<i) == 0 {
			continue
		}
		if i >= len(names) || names[i] == "" { //nolint:gosec // G602: looked at here
			d.bad = true
			return nil
		}
		list = append(list, names[i]) //nolint:gosec // G602: looked at above
	}
	return list
}

// StateMatch is xt_state_info; States as in ConntrackMatch.
type StateMatch struct{ States []string }

func (d *blob) state() any {
	d.revs(0, 0)
	d.size(4)
	return &StateMatch{d.names(d.u32(0), stateNames)}
}

// MarkMatch is xt_mark_mtinfo1 and xt_connmark_mtinfo1: mark & Mask == Mark.
type MarkMatch struct {
	Mark, Mask uint32
	Invert     bool
}

func (d *blob) mark() any {
	d.revs(1, 1)
	d.size(12)
	return &MarkMatch{d.u32(0), d.u32(4), d.flag(8)}
}

// ConnmarkMatch is MarkMatch on the connection's mark.
type ConnmarkMatch MarkMatch

func (d *blob) connmark() any {
	return (*ConnmarkMatch)(d.mark().(*MarkMatch))
}

// ConnbytesMatch is xt_connbytes_info: counters of the connection.
type ConnbytesMatch struct {
	From, To  uint64
	What      string // "packets", "bytes", "avgpkt"
	Direction string // "original", "reply", "both"
	Invert    bool   // From and To were given the wrong way round
}

func (d *blob) connbytes() any {
	d.revs(0, 0)
	d.size(24)
	m := &ConnbytesMatch{From: d.u64(0), To: d.u64(8)}
	m.What = d.one(uint32(d.u8(16)), "packets", "bytes", "avgpkt")
	m.Direction = d.one(uint32(d.u8(17)), "original", "reply", "both")
	if m.From > m.To {
		m.From, m.To, m.Invert = m.To, m.From, true
	}
	return m
}

// one names a value of an enum.
func (d *blob) one(n uint32, names ...string) string {
	if n >= uint32(len(names)) {
		d.bad = true
		return ""
	}
	return names[n]
}

// ConnlimitMatch is xt_connlimit_info, revisions 0 and 1: the number of
// connections of one network, of which Mask cuts the address, is above Limit.
type ConnlimitMatch struct {
	Mask  netip.Addr
	Limit uint32
	// Invert: at most Limit. Dst: counted by destination.
	Invert, Dst bool
}

func (d *blob) connlimit() any {
	d.revs(0, 1)
	d.size(32)
	flags := d.u32(20)
	d.only(uint64(flags), 3)
	return &ConnlimitMatch{Mask: d.inet(0), Limit: d.u32(16), Invert: flags&1 != 0, Dst: flags&2 != 0}
}

// ConnlabelMatch is xt_connlabel_mtinfo. Set: the match sets the label.
type ConnlabelMatch struct {
	Bit         uint16
	Invert, Set bool
}

func (d *blob) connlabel() any {
	d.revs(0, 0)
	d.size(4)
	f := d.u16(2)
	d.only(uint64(f), 3)
	return &ConnlabelMatch{d.u16(0), f&1 != 0, f&2 != 0}
}

// HelperMatch is xt_helper_info: the connection has a conntrack helper; ""
// any.
type HelperMatch struct {
	Name   string
	Invert bool
}

func (d *blob) helper() any {
	d.revs(0, 0)
	d.size(36)
	return &HelperMatch{d.str(4, 30), d.u32(0) != 0}
}
