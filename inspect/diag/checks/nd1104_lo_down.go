package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1104: the loopback device of a namespace is down.
//
// Addresses in 127.0.0.0/8 work only while lo is up. In a container on a network
// of Docker's own making the resolver is 127.0.0.11, so with lo down no name
// resolves there, although every address still can be reached. Plain namespaces
// are born with lo down. The kernel gives lo 127.0.0.1 when it comes up; where a
// script took that away, all of 127.0.0.0/8 is sent to the default gateway.
//
// See it by hand:
//
//	nsenter -t PID -n ip link show lo        the flags lack UP
//	nsenter -t PID -n dig @127.0.0.11 web    network unreachable
//
// Sources: drivers/net/loopback.c; moby daemon/libnetwork/resolver_unix.go: setupNAT
func nd1104() diag.Check {
	return diag.Check{
		Code: "ND1104", Name: "lo-down", Severity: diag.Error, Since: "0.1",
		Title:  "The loopback device of a namespace is down, or has no address",
		Detect: detectND1104,
		Fix:    fixND1104,
	}
}

func detectND1104(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		lo := ns.Link("lo")
		if !ns.Class.Ours() || ns.Light || lo == nil || lo.Up && !bareLo(ns, lo) {
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
		if lo.Up {
			f.Summary = fmt.Sprintf("lo of %s has no 127.0.0.1: nothing on 127.0.0.0/8 works there, the embedded DNS 127.0.0.11 included", in.Who(ns.ID))
			f.Cause = "the address that the kernel gives to lo was taken away, so packets to 127.0.0.0/8 leave by the default route"
			f.Evidence = []diag.Evidence{ev(ipIn(in, ns.ID, "-4 addr show lo"), "(no IPv4 address)", snap.RefLink(ns.ID, "lo"))}
			for k := range in.Flows {
				if x := &in.Flows[k]; x.Broken() && x.Flow.From == ns.ID && x.Flow.Dst.Is4() && x.Flow.Dst.IsLoopback() {
					f.Covers.Traces = append(f.Covers.Traces, k)
				}
			}
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

// bareLo says whether lo is up without an address of IPv4. One that has others is
// somebody's choice.
func bareLo(ns *snap.Netns, lo *snap.Link) bool {
	return !slices.ContainsFunc(ns.AddrsOf(lo.Index), func(a snap.Addr) bool { return a.Prefix.Addr().Is4() })
}

// fixND1104 sets lo up, which brings its address, or gives it the address.
func fixND1104(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	lo := ns.Link("lo")
	if !lo.Up {
		return linkUpFix(in, f)
	}
	return []fixups.Op{&fixups.AddrAdd{Where: at(in, ns.ID), Dev: "lo", Addr: snap.Addr{
		Index: lo.Index, Prefix: netip.MustParsePrefix("127.0.0.1/8"), Scope: "host", Label: "lo", ValidMs: -1, PreferredMs: -1, Flags: []string{"permanent"},
	}}}
}
