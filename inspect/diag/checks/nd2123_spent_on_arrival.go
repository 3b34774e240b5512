package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2123: what comes back for containers has no hop left when it is here.
//
// A mobile carrier, a hotspot or a router that is to serve one machine only sends with
// a TTL of 1. The host itself gets that; to hand it on to a container it would have to
// take one from it, and the kernel throws it away instead. All of IPv4 fails for
// containers, and nothing does for the host.
//
// See it by hand:
//
//	tcpdump -vni UPLINK                      ttl 1
//	nstat -az IpInHdrErrors                  grows
//
// Sources: net/ipv4/ip_forward.c: ip_forward, too_many_hops; RFC 1812 section 5.3.1
func nd2123() diag.Check {
	return diag.Check{
		Code: "ND2123", Name: "ttl-spent-on-arrival", Severity: diag.Error, Since: "0.2",
		Title: "What comes in from outside has a TTL of 1, which is for this host alone",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			host := in.Snap.HostNs()
			for i := range in.Snap.Probes {
				p := &in.Snap.Probes[i]
				d := p.Died
				if d == nil || !d.Answer || host == nil || d.Netns != host.ID || d.Reason != "IP_INHDR" || d.Func != "ip_forward" ||
					!slices.ContainsFunc(diag.Outward(in.Snap), func(l *snap.Link) bool { return l.Name == d.Device }) {
					continue
				}
				subject := diag.Subject{Kind: "link", Name: d.Device, Netns: host.ID}
				if sameSubject(out, subject) >= 0 {
					continue
				}
				f := diag.Finding{
					Summary:    fmt.Sprintf("what comes back by %s arrives with no hop left, so that this host can't hand it on to containers", d.Device),
					Cause:      "something beyond this host sends with a TTL of 1, as mobile carriers and hotspots do that are to serve one machine alone",
					Subject:    subject,
					Confidence: diag.Proved,
					Evidence:   []diag.Evidence{probed(in, p, fmt.Sprintf("the answer died in host on %s (%s at %s)", d.Device, d.Reason, d.Func))},
					Covers: diag.Cover{
						Traces: flowsOf(in, func(q *snap.Probe) bool { return diedAlike(q, d) }),
						Names: coverNames(in, func(n *diag.NameCase) bool {
							return n.Path.Problem != nil && slices.ContainsFunc(in.Snap.Probes, func(q snap.Probe) bool { return q.Dst == n.Path.Problem.Server && diedAlike(&q, d) })
						}),
					},
					Advice: fmt.Sprintf("ask whoever runs the line; or give it a hop more on arrival: iptables -t mangle -A PREROUTING -i %s -j TTL --ttl-inc 1 (nft: ip ttl set 65 in a chain of type filter hook prerouting)", d.Device),
					Weight: 86,
				}
				out = append(out, f)
			}
			return out
		},
	}
}

// diedAlike says whether a probe's answer died as another did.
func diedAlike(p *snap.Probe, d *snap.Seen) bool {
	return p.Died != nil && p.Died.Answer && p.Died.Netns == d.Netns && p.Died.Device == d.Device && p.Died.Reason == d.Reason && p.Died.Func == d.Func
}

// flowsOf are the flows whose probe is as asked.
func flowsOf(in *diag.Input, is func(*snap.Probe) bool) []int {
	var out []int
	for i := range in.Flows {
		if p := in.Flows[i].Probe; p != nil && is(p) {
			out = append(out, i)
		}
	}
	return out
}
