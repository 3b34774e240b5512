package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2307: the answers come to the host's own device, but for another MAC.
//
// The answers to what this host sends arrive at its uplink, but in frames for another
// MAC, and the kernel drops what is for others (OTHERHOST). Somebody beyond, the gateway
// as a rule, holds an old neighbour entry for this host's address: the device or the
// machine was replaced, a bond or VIP moved without a word, or a second machine answers
// for the address. On a switch that knows where that MAC is, such answers go
// elsewhere, and nothing of them is seen here.
//
// See it by hand:
//
//	tcpdump -enni UPLINK src host DST        for which MAC the answers are
//	arping -D -I UPLINK ADDRESS              whether somebody else has the address
//	arping -U -c2 -I UPLINK ADDRESS          tell all neighbours of the right MAC
//
// False positives: a device in promiscuous mode that sees the frames of others: those
// are no answers to what was asked here.
//
// Sources: net/ethernet/eth.c: eth_type_trans; net/ipv4/ip_input.c: ip_rcv_core; RFC 5227
// section 3
func nd2307() diag.Check {
	return diag.Check{
		Code: "ND2307", Name: "old-mac-beyond", Severity: diag.Error, Since: "0.2",
		Title:  "Answers come for another MAC than the uplink's",
		After:  []diag.Code{"ND1123"},
		Detect: detectND2307,
	}
}

func detectND2307(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	for i := range in.Snap.Probes {
		p := &in.Snap.Probes[i]
		if !forAnotherMAC(p, host) {
			continue
		}
		dev := host.Link(p.Died.Device)
		subject := diag.Subject{Kind: "link", Name: p.Died.Device, Netns: host.ID}
		if dev == nil || !slices.Contains(diag.Outward(in.Snap), dev) || sameSubject(out, subject) >= 0 {
			continue
		}
		own := p.Died.Dst.Addr()
		mistaken := func(p *snap.Probe) bool { return forAnotherMAC(p, host) && p.Died.Device == dev.Name }
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("answers to %s come in by %s for another MAC than its own, %s: somebody beyond this host holds an old one", own, dev.Name, dev.MAC),
			Cause:   "the gateway's neighbour entry for " + own.String() + " names another device, of before, or of a second machine with that address; the kernel drops what is for others",
			Subject: subject,
			Evidence: []diag.Evidence{
				probed(in, p, fmt.Sprintf("%d sent; the kernel freed the answer on %s (%s%s)", p.Sent, dev.Name, p.Died.Reason, freedAt(p.Died))),
				ev("ip link show "+dev.Name, linkLine(dev)+" link/ether "+dev.MAC, snap.RefLink(host.ID, dev.Name)),
			},
			Advice: fmt.Sprintf("tell the neighbours: arping -U -c2 -I %s %s; where that does not help, the entry there is a fixed one (ip neigh on the gateway), or arping -D -I %[1]s %[2]s shows who else has the address", dev.Name, own),
			Covers: diag.Cover{
				Traces: flowsWhose(in, mistaken),
				Names: coverNames(in, func(n *diag.NameCase) bool {
					return upstreamCut(n) && slices.ContainsFunc(n.Path.Servers, func(s names.Server) bool {
						return slices.ContainsFunc(in.Snap.Probes, func(p snap.Probe) bool { return p.Kind == "dns" && p.Dst == s.Addr && mistaken(&p) })
					})
				}),
			},
			Confidence: diag.Proved, Weight: 62,
		})
	}
	return out
}

// forAnotherMAC says whether the answer to a probe was seen to end in the host, as a
// frame for somebody else.
func forAnotherMAC(p *snap.Probe, host *snap.Netns) bool {
	return p.Died != nil && p.Died.Answer && p.Died.Reason == "OTHERHOST" && p.Died.Netns == host.ID
}

// flowsWhose are the flows whose probe is such a one.
func flowsWhose(in *diag.Input, is func(*snap.Probe) bool) []int {
	var out []int
	for i := range in.Flows {
		if p := in.Flows[i].Probe; p != nil && is(p) {
			out = append(out, i)
		}
	}
	return out
}
