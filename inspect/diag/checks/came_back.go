package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// cameBack says of a flow that left this host that it comes back with the host's own
// address as its source, which no stack takes in (net/ipv4/fib_frontend.c:
// __fib_validate_source): a router forwards the port that was asked for to this host
// itself. nil where it does not.
func cameBack(in *diag.Input, i int) *diag.Finding {
	f := &in.Flows[i]
	w, p, host := f.Trace.Where, f.Probe, in.Snap.HostNs()
	if host == nil || f.Excused || f.Outside || f.Trace.LeftHost == "" || f.Trace.LeftNetns != host.ID || !f.Trace.ExitSrc.IsValid() {
		return nil
	}
	src := f.Trace.ExitSrc.Addr()
	if _, own := host.HasAddr(src); !own {
		return nil
	}
	const reason = "IP_LOCAL_SOURCE"
	model := f.Broken() && w != nil && !w.Reply && w.Netns == host.ID && w.Reason == reason
	seen := p != nil && p.Died != nil && !p.Died.Answer && p.Died.Netns == host.ID && p.Died.Reason == reason
	if !model && !seen {
		return nil
	}
	x := &diag.Finding{
		Summary:  fmt.Sprintf("packets of %s to %s leave %s and come back to this host from its own address %s, which it does not take: a router beyond forwards that port to this host (no NAT loopback)", f.From, f.To, f.Trace.LeftHost, src),
		Cause:    fmt.Sprintf("the router that has %s changes the destination and leaves the source, so that the answer would never pass by it, and this host drops what claims to be from itself", f.Flow.Dst),
		Subject:  diag.Subject{Kind: "address", Name: f.Flow.Dst.String()},
		Evidence: []diag.Evidence{ev("trace", fmt.Sprintf("left this host on %s as %s", f.Trace.LeftHost, f.Trace.ExitSrc), snap.RefLink(f.Trace.LeftNetns, f.Trace.LeftHost))},
		Covers:   diag.Cover{Traces: []int{i}},
		Advice:   fmt.Sprintf("from here ask for this host's own address, or let a name have that one inside: %s; or have the router translate the source of what it sends back (NAT loopback, hairpin NAT)", netip.AddrPortFrom(src, f.Flow.Dport)),
		Weight:   64,
	}
	if seen {
		x.Evidence = append(x.Evidence, probed(in, p, fmt.Sprintf("it died in host on %s (%s)", p.Died.Device, reason)))
		x.Confidence = diag.Proved
	}
	return x
}
