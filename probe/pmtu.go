package probe

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// PathMTU is what the ladder found out about one path.
type PathMTU struct {
	// MTUBytes is the largest IP packet that was answered; 0 when none was.
	MTUBytes int
	// TooBigBytes is the smallest that was not; 0 when the largest asked passed.
	// The two differ by one when the ladder ran to its end.
	TooBigBytes int
	// ToldBytes is the MTU that an ICMP error named, and By its sender; 0 when
	// nobody told: larger packets vanish silently.
	ToldBytes int
	By        netip.Addr
	Probes    []snap.Probe // all that was asked
}

// rungs are packet sizes where paths end in practice: IPv4's and IPv6's
// minimum, tunnels (WireGuard 1420, VXLAN 1450, PPPoE 1492), Ethernet, jumbo.
func rungs() []int { return []int{576, 1280, 1400, 1420, 1450, 1492, 1500, 8951, 9000} }

// How long one round of the ladder waits: the first, and those after it by what
// the first one took.
const (
	firstRound = 500 * time.Millisecond
	leastRound = 100 * time.Millisecond
	roundRTTs  = 20
)

// PMTU finds the largest packet that reaches dst and comes back unfragmented,
// by echoes with DF. limit is the largest packet to try, normally the MTU of
// the first device; 0 is 1500. The smallest and the largest are asked first: where
// both pass, or not even the small one, that is all. Else the rungs of a ladder
// are asked all at once, and the gap is closed in two or three rounds more.
func (p *Prober) PMTU(ctx context.Context, from *snap.Netns, dst netip.Addr, limit int, o Options) PathMTU {
	header, least := echoHeaders(dst), 68 // RFC 791's smallest MTU
	if dst.Is6() && !dst.Is4In6() {
		least = 1280 // RFC 8200, section 5
	}
	if limit <= 0 {
		limit = 1500
	}
	o.DF = true
	defer p.unlearn(from, dst)()
	if o.Tries == 0 {
		o.Tries = 2
	}
	adapt := o.Timeout == 0
	if adapt {
		o.Timeout = firstRound
	}
	var m PathMTU
	ask := func(sizes []int) {
		var qs []Question
		for _, s := range sizes {
			q := Question{Kind: "icmp", From: from, Dst: netip.AddrPortFrom(dst, 0), Options: o}
			q.Size = s - header
			qs = append(qs, q)
		}
		for i, r := range p.Run(ctx, qs) {
			m.add(sizes[i], r)
		}
	}
	ask([]int{least, limit})
	if m.MTUBytes == 0 || m.TooBigBytes == 0 {
		return m
	}
	if adapt {
		rtt := time.Duration(m.Probes[0].RTTMs * float64(time.Millisecond))
		o.Timeout = min(max(roundRTTs*rtt, leastRound), firstRound)
	}
	var first []int
	for _, s := range rungs() {
		if s > m.MTUBytes && s < m.TooBigBytes {
			first = append(first, s)
		}
	}
	if t := m.ToldBytes; t > m.MTUBytes && t < limit { // what a router says is the best guess
		first = append(first, t, min(t+1, limit))
	}
	slices.Sort(first)
	ask(slices.Compact(first))
	const most = 6 // rounds: each leaves a ninth of the gap
	for n := 0; n < most && m.MTUBytes > 0 && m.TooBigBytes > m.MTUBytes+1 && ctx.Err() == nil; n++ {
		ask(between(m.MTUBytes, m.TooBigBytes))
	}
	return m
}

// echoHeaders are the bytes of an echo before its payload: IPv4's 20 or IPv6's 40,
// and ICMP's 8.
func echoHeaders(dst netip.Addr) int {
	if dst.Is6() && !dst.Is4In6() {
		return 48
	}
	return 28
}

// add counts one answer in. What answered beats what did not: a small packet
// that was lost by chance must not look like a limit.
func (m *PathMTU) add(size int, r snap.Probe) {
	m.Probes = append(m.Probes, r)
	switch {
	case r.Outcome == snap.Answered:
		m.MTUBytes = max(m.MTUBytes, size)
		if m.TooBigBytes <= m.MTUBytes {
			m.TooBigBytes = 0
		}
		return
	case r.Outcome == snap.Failed || size < m.MTUBytes:
		return
	case m.TooBigBytes == 0 || size < m.TooBigBytes:
		m.TooBigBytes = size
	}
	if r.ICMP != nil && r.ICMP.MTU > 0 && (m.ToldBytes == 0 || r.ICMP.MTU < m.ToldBytes) {
		m.ToldBytes, m.By = r.ICMP.MTU, r.By
	}
}

// between gives at most eight sizes that split a gap evenly.
func between(lo, hi int) []int {
	const parts = 9
	var out []int
	for i := 1; i < parts; i++ {
		s := lo + (hi-lo)*i/parts
		if s > lo && s < hi && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		out = append(out, lo+1)
	}
	return out
}
