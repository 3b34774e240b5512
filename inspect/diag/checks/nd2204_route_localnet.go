package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2204: packets from 127.0.0.1 may not leave by a bridge.
//
// Without the userland proxy a connection to 127.0.0.1:PORT is rewritten to the
// container and leaves by its bridge with the source 127.0.0.1, which the kernel
// forbids unless net.ipv4.conf.BRIDGE.route_localnet is 1. Docker sets it for its
// bridges when it runs with --userland-proxy=false; hardening scripts set it back.
//
// See it by hand:
//
//	sysctl net.ipv4.conf.BRIDGE.route_localnet     must be 1
//	curl 127.0.0.1:PORT fails, curl HOST-ADDRESS:PORT works
//
// Sources: net/ipv4/route.c: ip_route_input_slow, ip_mkroute_output; moby drivers/bridge: setupLoopbackAddressesRouting
func nd2204() diag.Check {
	return diag.Check{
		Code: "ND2204", Name: "route-localnet-off", Severity: diag.Error, Since: "0.1",
		Title:  "A published port fails on localhost: route_localnet is off on the bridge",
		After:  []diag.Code{"ND6101"},
		Detect: detectND2204,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			return []fixups.Op{&fixups.SysctlSet{Where: at(in, f.Subject.Netns), Key: f.Subject.Name, Value: "1"}}
		},
	}
}

func detectND2204(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		c := in.Snap.Container(f.Target)
		if host == nil || c == nil || !f.Broken() || !f.Flow.Dst.IsLoopback() || f.Flow.Dst.Is6() || f.Flow.From != host.ID {
			continue
		}
		if w := f.Trace.Where; w != nil && w.Rule != nil {
			continue // whichever way it might go instead, that rule stops it
		}
		for _, a := range attachments(in) {
			key := "net/ipv4/conf/" + a.n.Bridge + "/route_localnet"
			if v, ok := host.Sysctl(key); a.c != c || !ok || v != "0" {
				continue
			}
			s := diag.Subject{Kind: "sysctl", Name: key, Netns: host.ID}
			if k := sameSubject(out, s); k >= 0 {
				out[k].Covers.Traces = append(out[k].Covers.Traces, i)
				break
			}
			if !heals(in, i, []fixups.Op{&fixups.SysctlSet{Where: at(in, host.ID), Key: key, Value: "1"}}) {
				continue
			}
			out = append(out, diag.Finding{
				Summary:  fmt.Sprintf("%s=0: %s, published by %s, can't be reached on localhost", fixups.SysctlName(key), f.To, c.Name),
				Cause:    fmt.Sprintf("the connection to 127.0.0.1 is rewritten to %s and may not leave by %s with that source", c.Name, a.n.Bridge),
				Subject:  s,
				Evidence: []diag.Evidence{ev("sysctl "+fixups.SysctlName(key), fixups.SysctlName(key)+" = 0", snap.RefSysctl(host.ID, key))},
				Covers:   diag.Cover{Traces: []int{i}},
				Weight:   73,
			})
			break
		}
	}
	return out
}
