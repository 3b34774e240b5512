package diag

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// wholeQuestions ask the gateway behind each uplink that takes less than a container
// sends for an answer of the container's size: what a server sends to the container
// that was told of no path MTU is as large. IPv4 alone (probe.Prober.Whole).
func (in *Input) wholeQuestions() []snap.Probe {
	const ethernet = 1500 // nothing larger comes from beyond the link
	host := in.Snap.HostNs()
	gws := in.neighbours(true)
	if host == nil || in.onlyAsked {
		return nil
	}
	var out []snap.Probe
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Kind != "egress" || f.Broken() || !f.Flow.Dst.Is4() || f.Flow.From == host.ID {
			continue
		}
		for _, up := range Uplinks(in.Snap) {
			own, least, at := in.sizes(f)
			own = min(own, ethernet)
			if at != host.ID+"/"+up.Name || least >= own {
				continue
			}
			for _, gw := range gws {
				if onLink(host, up, gw) {
					out = append(out, snap.Probe{Kind: "whole", From: host.ID, Dst: netip.AddrPortFrom(gw, 0), Size: own - headerBytes(gw)})
					break
				}
			}
		}
	}
	return out
}

// WholeAnswer is the probe for an answer larger than an uplink of the host takes; nil
// when none was sent, or it proves nothing.
func (in *Input) WholeAnswer(up *snap.Link) *snap.Probe {
	host := in.Snap.HostNs()
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		if host != nil && p.Kind == "whole" && p.From == host.ID && onLink(host, up, p.Dst.Addr()) && (p.Outcome == snap.TimedOut || p.Outcome == snap.Answered) {
			return p
		}
	}
	return nil
}
