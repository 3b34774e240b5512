package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3204: packets leave this host with a private source.
//
// Nobody outside knows a way back to a private subnet behind this host, so its
// source must be replaced by the host's own address (MASQUERADE or SNAT in nat
// POSTROUTING). When that rule is missing the packets leave, and the answers never
// return. Flushing the nat table, firewall reloads and forgotten steps in
// hand-made set-ups are the causes.
//
// Likewise who calls a service's address that leads back to himself (a pod its own
// service, a container its own published port): his own stack drops what comes with his
// own address, so that such packets have to get another source, too. And who calls a
// published port at 127.0.0.1: a loopback address that comes in by a wire is dropped.
//
// See it by hand:
//
//	iptables -t nat -S POSTROUTING           no rule covers the subnet
//	tcpdump -ni UPLINK host SOURCE           shows the private source leaving
//
// False positives: networks that are routed on purpose (the router outside has a
// route back). A live probe tells the two apart.
//
// Sources: RFC 1122, section 3.2.1.3; moby drivers/bridge; every "ip netns" tutorial; moby#36151
func nd3204() diag.Check {
	return diag.Check{
		Code: "ND3204", Name: "no-masquerade", Severity: diag.Error, Since: "0.1",
		Title:  "Packets leave this host with their private source address: no masquerade",
		After:  []diag.Code{"ND6101", "ND3205", "ND2209"},
		Detect: func(in *diag.Input) []diag.Finding { return append(detectND3204(in), ledBack(in)...) },
		Fix:    fixND3204,
	}
}

func detectND3204(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		if !f.Unmasked || f.Excused || diag.ProbeSays(f.Probe) == "delivered" || routedBack(f) {
			continue
		}
		if len(rulesOnWay(in, f, firewall.Untracks)) > 0 {
			continue // what is not tracked no rule masquerades: ND3222 says it
		}
		src := f.Trace.ExitSrc.Addr()
		name := "source " + src.String()
		subject := diag.Subject{Kind: "network", Name: src.String(), Netns: in.Snap.Host.Netns}
		if n := in.Graph.NetworkOfAddr(src); n != nil {
			subject.Name = networkName(in, n)
			name = "net:" + subject.Name
			for _, p := range n.Pools {
				if p.Subnet.Contains(src) {
					name += " (" + p.Subnet.String() + ")"
				}
			}
			if src.Is6() {
				subject.Name += " (IPv6)" // its rule is another one
			}
		} else if p := onLink(in, src); p != "" {
			name = p
			subject.Name = p
		}
		if at := slices.IndexFunc(out, func(x diag.Finding) bool { return x.Subject == subject }); at >= 0 {
			out[at].Covers.Traces = append(out[at].Covers.Traces, i)
			continue
		}
		tool := "iptables"
		if src.Is6() {
			tool = "ip6tables"
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s leaves this host on %s unmasqueraded, as %s: no MASQUERADE rule in nat POSTROUTING covers it", name, f.Trace.LeftHost, src),
			Cause:    "no rule of nat POSTROUTING replaces the private source, so answers have no way back",
			Subject:  subject,
			Evidence: []diag.Evidence{ev(tool+" -t nat -S POSTROUTING", fmt.Sprintf("(no rule for %s leaving by %s)", src, f.Trace.LeftHost), snap.RefNetns(in.Snap.Host.Netns))},
			Covers:   diag.Cover{Traces: []int{i}},
			Weight:   70,
		})
	}
	for k := range out {
		out[k].Covers.Names = coverSenders(in, out[k].Covers.Traces)
	}
	return out
}

// routedBack says whether the snapshot itself shows that the world outside
// answers that private source.
func routedBack(f *diag.FlowCase) bool { return f.Trace.Verdict == sim.Delivered }

// onLink is the subnet of a device of the host that holds an address; "" none.
func onLink(in *diag.Input, ip netip.Addr) string {
	for _, a := range in.Snap.HostNs().Addrs {
		if a.Prefix.Contains(ip) && !a.Prefix.Addr().IsLoopback() {
			return a.Prefix.Masked().String()
		}
	}
	return ""
}
