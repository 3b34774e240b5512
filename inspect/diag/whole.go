package diag

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// wholeQuestions ask a neighbour at a device of the host that takes less than a
// container sends for an answer of the container's size: what a server sends to the
// container that was told of no path MTU is as large. IPv4 alone (probe.Prober.Whole).
func (in *Input) wholeQuestions() []snap.Probe {
	const ethernet = 1500 // nothing larger comes from beyond the link
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []snap.Probe
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Kind != "egress" && !f.Asked || f.Broken() || !f.Flow.Dst.Is4() || f.Flow.From == host.ID || f.Flow.Size > 0 {
			continue
		}
		own, least, at := in.sizes(f)
		own = min(own, ethernet)
		dev := in.AnswersBy(f)
		if dev == nil || at != host.ID+"/"+dev.Name || least >= own {
			continue
		}
		if who := in.behind(host, dev, f); who.IsValid() {
			out = append(out, snap.Probe{Kind: "whole", From: host.ID, Dst: netip.AddrPortFrom(who, 0), Size: own - headerBytes(who)})
		}
	}
	return out
}

// behind is the neighbour to ask at a device by which the answers of a flow come: a
// gateway there, or whom the flow asks; the zero address for none.
func (in *Input) behind(host *snap.Netns, dev *snap.Link, f *FlowCase) netip.Addr {
	near := in.neighbours(true)
	for i := range host.Routes {
		if r := &host.Routes[i]; r.Oif == dev.Index && r.Gateway.Is4() {
			near = append(near, r.Gateway)
		}
	}
	for _, a := range append(near, f.Flow.Dst) {
		if onLink(host, dev, a) {
			return a
		}
	}
	return netip.Addr{}
}

// WholeAnswer is the probe for an answer larger than a device of the host takes; nil
// when none was sent, or it proves nothing.
func (in *Input) WholeAnswer(dev *snap.Link) *snap.Probe {
	host := in.Snap.HostNs()
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		if host != nil && p.Kind == "whole" && p.From == host.ID && onLink(host, dev, p.Dst.Addr()) && (p.Outcome == snap.TimedOut || p.Outcome == snap.Answered) {
			return p
		}
	}
	return nil
}

// AnswersBy is the device by which the answers of a flow come to the host; nil when
// they come from nowhere else.
func (in *Input) AnswersBy(f *FlowCase) *snap.Link {
	host := in.Snap.HostNs()
	for i := range f.Trace.Reply {
		if h := &f.Trace.Reply[i]; host != nil && h.Netns == host.ID {
			return host.Link(h.Device)
		}
	}
	return nil
}
