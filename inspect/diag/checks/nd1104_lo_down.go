package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1104: the loopback device of a namespace is down.
func nd1104() diag.Check {
	return diag.Check{
		Code: "ND1104", Name: "lo-down", Severity: diag.Error, Since: "0.1",
		Title: "The loopback device of a namespace is down",
		Doc: `Addresses in 127.0.0.0/8 work only while lo is up. In a container on a network
of Docker's own making the resolver is 127.0.0.11, so with lo down no name
resolves there, although every address still can be reached. Plain namespaces
are born with lo down.

See it by hand:
    nsenter -t PID -n ip link show lo        the flags lack UP
    nsenter -t PID -n dig @127.0.0.11 web    network unreachable

Sources: drivers/net/loopback.c; moby daemon/libnetwork/resolver_unix.go: setupNAT`,
		Detect: detectND1104,
		Fix:    linkUpFix,
	}
}

func detectND1104(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		lo := ns.Link("lo")
		if !ns.Class.Ours() || ns.Light || lo == nil || lo.Up {
			continue
		}
		if ns.ID != in.Snap.Host.Netns && len(ns.Containers) == 0 {
			continue // plain namespaces are born so, and nothing says that they need it
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("lo is down in %s: nothing on 127.0.0.0/8 works there, the embedded DNS 127.0.0.11 included", in.Who(ns.ID)),
			Cause:    "the loopback device is administratively down",
			Subject:  diag.Subject{Kind: "link", Name: "lo", Netns: ns.ID},
			Evidence: []diag.Evidence{ev(ipIn(in, ns.ID, "link show lo"), linkLine(lo), snap.RefLink(ns.ID, "lo"))},
			Covers:   coverDevice(in, ns.ID, "lo", sim.CauseLinkDown, sim.CauseNoRoute),
			Weight:   85,
		}
		for k := range in.Names {
			n := &in.Names[k]
			if n.Ask.Netns == ns.ID && n.Bad() && slices.Contains([]string{names.LoDown, names.Unreachable}, n.Path.Problem.Kind) {
				f.Covers.Names = append(f.Covers.Names, k)
			}
		}
		if len(f.Covers.Traces)+len(f.Covers.Names) == 0 {
			f.Severity = diag.Warning // nothing that is known of needs it
		}
		out = append(out, f)
	}
	return out
}
