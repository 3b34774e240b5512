package diag

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// PathMTU is what echoes of many sizes, none of which may be cut, found out of
// the way of a flow.
type PathMTU struct {
	Limit  int // the largest packet that was tried
	Fits   int // the largest that was answered
	TooBig int // the smallest that was not; 0: all were answered
	// Told is the size that an ICMP error named, and By its sender; 0: nobody told.
	Told int
	By   netip.Addr
}

// Silent says that larger packets vanish and nobody tells the sender.
func (m *PathMTU) Silent() bool { return m != nil && m.TooBig > 0 && m.Told == 0 }

// Smaller says that the way takes less than the sender's own device.
func (m *PathMTU) Smaller() bool { return m != nil && m.TooBig > 0 && m.TooBig <= m.Limit }

// Ladder says whether the path MTU of a flow can be measured: limit is the
// largest packet to try. why not: in words, "" for a flow that needs none.
func (in *Input) Ladder(f *FlowCase) (limit int, why string) {
	ns := in.Snap.Ns(f.Flow.From)
	if !f.Asked || f.Outside || ns == nil || f.Trace == nil || ProbeSays(f.Probe) != "delivered" || f.Flow.Dst.IsLoopback() {
		return 0, ""
	}
	if _, own := ns.HasAddr(f.Flow.Dst); own {
		return 0, ""
	}
	for _, as := range []netip.AddrPort{f.Trace.ArrivedAs, f.Trace.ExitDst} {
		if as.IsValid() && as.Addr() != f.Flow.Dst {
			return 0, fmt.Sprintf("connections to %s are translated to %s, and an echo is not", f.Flow.Dst, as.Addr())
		}
	}
	for _, h := range f.Trace.Forward {
		if l := ns.Link(h.Device); h.Netns == ns.ID && l != nil && l.MTU > 0 {
			return l.MTU, ""
		}
	}
	return 0, ""
}

// PathMTU is what was measured of the way of a flow; nil when nothing was, or no
// echo comes back at all.
func (in *Input) PathMTU(f *FlowCase) *PathMTU {
	header := 28 // IPv4 20, ICMP 8
	if f.Flow.Dst.Is6() {
		header = 48
	}
	m := &PathMTU{}
	var lost []int
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		if !measures(p, f) {
			continue
		}
		size := p.Size + header
		m.Limit = max(m.Limit, size)
		if p.Outcome == snap.Answered {
			m.Fits = max(m.Fits, size)
			continue
		}
		lost = append(lost, size)
		if p.ICMP != nil && p.ICMP.MTU > 0 && (m.Told == 0 || p.ICMP.MTU < m.Told) {
			m.Told, m.By = p.ICMP.MTU, p.By
		}
	}
	if m.Fits == 0 {
		return nil
	}
	for _, s := range lost {
		if s > m.Fits && (m.TooBig == 0 || s < m.TooBig) {
			m.TooBig = s
		}
	}
	if m.TooBig == 0 {
		m.Told, m.By = 0, netip.Addr{}
	}
	return m
}

// measures says whether a probe is an echo that tells what the way of a flow carries.
func measures(p *snap.Probe, f *FlowCase) bool {
	return p.Kind == "icmp" && p.DF && p.Size > 0 && p.From == f.Flow.From && p.Dst.Addr() == f.Flow.Dst && p.Outcome != snap.Failed
}

// Measured says whether echoes were sent to find out what the way of a flow carries.
func (in *Input) Measured(f *FlowCase) bool {
	return slices.ContainsFunc(in.Snap.Probes, func(p snap.Probe) bool { return measures(&p, f) })
}

// MTUOption is how packets of a sender are kept at that size for good: an option
// of its network, or of its device.
func (in *Input) MTUOption(f *FlowCase, size int) string {
	ns := in.Snap.Ns(f.Flow.From)
	if ns == nil {
		return ""
	}
	for _, c := range in.Graph.ContainersOf(ns.ID) {
		for i := range c.Endpoints {
			n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[i])
			if n == nil || n.Bridge == "" {
				continue
			}
			if how := MTUOption(n, size); how != "" {
				return how
			}
		}
	}
	dev := outDevice(f.Trace, ns)
	if dev == "" {
		return ""
	}
	return in.IPCommand(ns.ID, fmt.Sprintf("ip link set %s mtu %d", dev, size))
}

// outDevice is the first device of a namespace that a flow leaves by.
func outDevice(t *sim.Trace, ns *snap.Netns) string {
	if t == nil {
		return ""
	}
	for _, h := range t.Forward {
		if h.Netns == ns.ID && h.Device != "" {
			return h.Device
		}
	}
	return ""
}
