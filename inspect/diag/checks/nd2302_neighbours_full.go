package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Limits of the kernel's neighbour table (net/ipv4/arp.c: arp_tbl, ndisc.c: nd_tbl).
const (
	neighThresh = "net/ipv4/neigh/default/gc_thresh3"
	noNeighRoom = "NEIGH_CREATEFAIL" // drop reason of ip_finish_output2
)

// nd2302: there is no room for one more neighbour.
//
// One table holds the ARP entries of all namespaces of the machine, containers
// included. Beyond gc_thresh3 (1024 unless it was raised) a packet to somebody new
// dies at once, while who is known already goes on: with a thousand containers, or a
// scan of a large subnet, connections fail at random. The kernel logs "neighbour:
// arp_cache: neighbor table overflow!".
//
// See it by hand:
//
//	cat /proc/net/stat/arp_cache             entries, table_fulls (hexadecimal)
//	sysctl net.ipv4.neigh.default.gc_thresh3
//	dmesg | grep overflow
//
// Sources: net/core/neighbour.c: neigh_alloc; net/ipv4/ip_output.c: ip_finish_output2
func nd2302() diag.Check {
	return diag.Check{
		Code: "ND2302", Name: "neighbours-full", Severity: diag.Error, Since: "0.2",
		Title: "The kernel's neighbour table is full",
		Detect: func(in *diag.Input) []diag.Finding {
			f := diag.Finding{
				Cause:   "all namespaces of the machine share one table of neighbours, and it has no room: who is not known yet can't be reached",
				Subject: diag.Subject{Kind: "sysctl", Name: fixups.SysctlName(neighThresh), Netns: in.Snap.Host.Netns},
				Weight:  92, Confidence: diag.Proved,
			}
			died := func(p *snap.Probe) bool {
				return p.Died != nil && p.Died.Reason == noNeighRoom || slices.ContainsFunc(p.Seen, func(s snap.Seen) bool { return s.What == snap.SeenDrop && s.Reason == noNeighRoom })
			}
			n := 0
			for i := range in.Snap.Probes {
				if p := &in.Snap.Probes[i]; died(p) {
					if n++; len(f.Evidence) < 2 {
						f.Evidence = append(f.Evidence, probed(in, p, "it died: "+noNeighRoom))
					}
				}
			}
			if n == 0 {
				return nil
			}
			for i := range in.Flows {
				if p := in.Flows[i].Probe; p != nil && died(p) {
					f.Covers.Traces = append(f.Covers.Traces, i)
				}
			}
			limit := "gc_thresh3"
			if host := in.Snap.HostNs(); host != nil {
				if v, ok := host.Sysctl(neighThresh); ok {
					limit = v
					f.Evidence = append(f.Evidence, ev("sysctl "+fixups.SysctlName(neighThresh), fixups.SysctlName(neighThresh)+" = "+v, snap.RefSysctl(host.ID, neighThresh)))
				}
			}
			f.Summary = fmt.Sprintf("the kernel's neighbour table is full (%s entries, all namespaces of the machine together): %s died for want of room", limit, diag.Count(n, "probe"))
			f.Advice = "sysctl -w net.ipv4.neigh.default.gc_thresh1=2048 net.ipv4.neigh.default.gc_thresh2=4096 net.ipv4.neigh.default.gc_thresh3=8192 (in the machine's first namespace, and in /etc/sysctl.d); or end what looks for so many neighbours"
			return []diag.Finding{f}
		},
	}
}
