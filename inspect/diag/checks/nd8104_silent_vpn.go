package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd8104: what goes to the world is led into a tunnel, and nothing comes back.
//
// A VPN that takes all traffic puts a route or a routing rule before the host's default
// route. Its device stays up when the other end is gone, the keys have changed, or the
// program that reads it hangs: everything goes in, and nothing comes back. Then no server
// is to blame, and no network beyond. Where the gateway of the default route carries the
// same question, it is proved that the uplink works.
//
// See it by hand:
//
//	ip route get 1.1.1.1                     dev wg0 table 51820
//	ip rule                                  the rule that leads to that table
//	wg show                                  latest handshake: minutes ago, or none
//
// False positives: a kill switch that is meant to hold all back while the VPN is away.
//
// Sources: wg-quick(8); ip-rule(8); openvpn(8), redirect-gateway
func nd8104() diag.Check {
	return diag.Check{
		Code: "ND8104", Name: "vpn-silent", Severity: diag.Error, Since: "0.2",
		Title: "The way to the world goes into a VPN's tunnel, and nothing returns through it",
		After: []diag.Code{"ND2205", "ND2305"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, t := range in.DeadTunnels() {
				host, dev := in.Snap.Host.Netns, t.Link.Name
				f := diag.Finding{
					Summary:  fmt.Sprintf("what goes to the world is led into %s, a VPN's tunnel, and nothing comes back through it", dev),
					Cause:    fmt.Sprintf("%s leads there; the other end does not answer, or the program that reads %s hangs", t.Way.Text, dev),
					Subject:  diag.Subject{Kind: "link", Name: dev, Netns: host},
					Evidence: []diag.Evidence{ev("ip route get "+t.To.String(), t.Way.Text, snap.RefLink(host, dev))},
					Covers:   diag.Cover{Traces: t.Flows, Names: t.Names},
					Advice:   fmt.Sprintf("bring the VPN back (wg show %s: when was the last handshake?), or take it down (wg-quick down %[1]s): then the host's own default route counts", dev),
					Weight:   88,
				}
				if line, source := routeLine(in, host, t.Way.Rule); line != "" {
					f.Evidence = append(f.Evidence, ev(source, line, t.Way.Rule))
				}
				f.Evidence = append(f.Evidence, probed(in, t.Probe, fared(t.Probe)))
				if p := t.By; p != nil {
					f.Summary += fmt.Sprintf("; by %s the same question is answered", p.Via)
					f.Confidence = diag.Proved
					f.Evidence = append(f.Evidence, ev(fmt.Sprintf("probe %d", p.ID), fmt.Sprintf("a question to %s that was handed to %s (%s) was answered", p.Dst.Addr(), p.Via, p.MAC), snap.RefProbe(p.ID)))
				}
				out = append(out, f)
			}
			return out
		},
	}
}
