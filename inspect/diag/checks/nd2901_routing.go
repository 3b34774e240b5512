package checks

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2901 names whatever the routing of a namespace does to a flow that no
// other check explains.
func nd2901() diag.Check {
	return diag.Check{
		Code: "ND2901", Name: "routing", Severity: diag.Error, Since: "0.1",
		Title: "A routing decision stops the packet",
		Doc: `A namespace on the way has no route for the packet, a route or a rule that
throws it away (blackhole, prohibit, unreachable), refuses its source
(rp_filter, an address of its own, 127.0.0.0/8 without route_localnet), or finds
no way after NAT changed the destination.

See it by hand:
    ip route get DST from SRC iif DEVICE     the kernel's own answer
    ip rule; ip route show table all
    sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.DEVICE.rp_filter

Sources: net/ipv4/fib_frontend.c: __fib_validate_source; net/ipv4/route.c: ip_route_input_slow`,
		CatchAll: true,
		After:    []diag.Code{"ND1101", "ND1103", "ND1104", "ND1108", "ND2101", "ND2102", "ND2103", "ND2104", "ND2105", "ND3204", "ND3201", "ND6101", "ND2301", "ND2201", "ND2106", "ND2107", "ND2202", "ND2203", "ND2204", "ND6401", "ND2205", "ND2206", "ND2207", "ND3205", "ND1106"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range in.Groups(sim.CauseNoRoute, sim.CauseReject, sim.CauseRejectRule, sim.CauseRPFilter, sim.CauseMartian, sim.CauseNATReroute, sim.CauseSelfSource, sim.CauseTTL, sim.CauseLoop, sim.CauseIPv6Off) {
				if !owned(in, g.Where.Netns) {
					continue
				}
				f := placeFinding(in, g)
				f.Subject = diag.Subject{Kind: "route", Name: cmp.Or(string(g.Where.Ref), g.Where.Reason), Netns: g.Where.Netns}
				flow := in.Flows[g.Flows[0]].Flow
				f.Evidence = append(f.Evidence, ev(ipIn(in, g.Where.Netns, "route get "+flow.Dst.String()), g.Where.Reason, snap.RefNetns(g.Where.Netns)))
				f.Advice = "see it by hand: " + ipIn(in, g.Where.Netns, "route get "+flow.Dst.String())
				if ns, v := shortLived(in, g.Where, &in.Flows[g.Flows[0]]); ns != nil {
					f.Subject = diag.Subject{Kind: "sysctl", Name: dotted(defaultTTL), Netns: ns.ID}
					f.Summary += fmt.Sprintf(": %s sends with net.ipv4.ip_default_ttl=%s", in.Who(ns.ID), v)
					f.Evidence = append(f.Evidence, ev(in.IPCommand(ns.ID, "sysctl net.ipv4.ip_default_ttl"), "net.ipv4.ip_default_ttl = "+v, snap.RefSysctl(ns.ID, defaultTTL)))
				}
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			flow := &in.Flows[f.Covers.Traces[0]]
			if ns, _ := shortLived(in, flow.Trace.Where, flow); ns != nil {
				return []fixups.Op{&fixups.SysctlSet{Where: at(in, ns.ID), Key: defaultTTL, Value: "64"}}
			}
			return fixUnroute(in, f)
		},
	}
}

const defaultTTL = "net/ipv4/ip_default_ttl"

// shortLived is the namespace whose packets die of their age because they are
// sent with hardly any: fewer hops than the way to anywhere takes (64 since
// RFC 1700). nil when that is not why.
func shortLived(in *diag.Input, w *sim.Where, f *diag.FlowCase) (ns *snap.Netns, value string) {
	if w == nil || w.Cause != sim.CauseTTL {
		return nil, ""
	}
	id := f.Flow.From
	if w.Reply {
		id = f.Trace.Arrived
	}
	ns = in.Netns(id)
	if ns == nil || !ns.Class.Ours() {
		return nil, ""
	}
	v, ok := ns.Sysctl(defaultTTL)
	if n, err := strconv.Atoi(v); !ok || err != nil || n >= 32 {
		return nil, ""
	}
	return ns, v
}
