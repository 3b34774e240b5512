package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2202: reverse-path filtering drops packets that come in by another way
// than answers would leave.
//
// With rp_filter=1 the kernel drops a packet when the route back to its source does
// not leave by the device it came in by. Hosts with two uplinks, VPNs and policy
// routing have such ways by design; the packet vanishes without a word before any
// firewall rule sees it. The larger of conf/all and the device's own value counts.
// Loose mode (2) only asks whether the source can be reached at all.
//
// See it by hand:
//
//	sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.DEVICE.rp_filter
//	ip route get SOURCE                      leaves by another device
//	nstat -az TcpExtIPReversePathFilter      counts
//
// Sources: net/ipv4/fib_frontend.c: __fib_validate_source; RFC 3704; ip-sysctl.rst
func nd2202() diag.Check {
	return diag.Check{
		Code: "ND2202", Name: "rp-filter", Severity: diag.Error, Since: "0.1",
		Title:  "Strict reverse-path filter drops packets that came in by another way",
		Detect: detectND2202,
		Fix:    fixND2202,
	}
}

func detectND2202(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range in.Groups(sim.CauseRPFilter) {
		w := g.Where
		ns := in.Netns(w.Netns)
		if ns == nil || !ns.Class.Ours() {
			continue
		}
		key := rpKey(ns, w.Device)
		value, _ := ns.Sysctl(key)
		first := &in.Flows[g.Flows[0]]
		src := first.Flow.Src
		if b := first.Trace.Reply; w.Reply && len(b) > 0 { // it is the answer that is dropped
			src = b[len(b)-1].Src.Addr()
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s=%s in %s drops %s → %s%s: the way back to %s does not leave by %s", fixups.SysctlName(key), value, in.Who(ns.ID), first.From, first.To, more(g), orSender(src.IsValid(), src.String()), w.Device),
			Cause:    w.Detail,
			Subject:  diag.Subject{Kind: "sysctl", Name: key, Netns: ns.ID},
			Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "sysctl "+fixups.SysctlName(key)), fixups.SysctlName(key)+" = "+value, snap.RefSysctl(ns.ID, key))},
			Covers:   diag.Cover{Traces: g.Flows},
			Advice:   "loose mode (2) keeps the protection against impossible sources; policy routing, one table for each uplink, also makes answers leave where questions came in",
			Weight:   74,
		}
		for _, l := range in.Snap.Host.SysctlFiles {
			if l.Key == key && ns.ID == in.Snap.Host.Netns {
				f.Evidence = append(f.Evidence, ev(fmt.Sprintf("%s line %d", l.File, l.Line), fixups.SysctlName(key)+" = "+l.Value, ""))
			}
		}
		out = append(out, f)
	}
	return append(out, secondDoors(in, out)...)
}

// secondDoors are devices beside the one of the default route at whose address
// ports are published, and where the filter drops all senders but the device's
// own neighbours. Whether anybody comes that way is not known from here: it is a
// remark, and a warning when the filter has dropped packets on this host.
func secondDoors(in *diag.Input, told []diag.Finding) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	ups := diag.Uplinks(in.Snap)
	for _, l := range diag.Outward(in.Snap) {
		key := rpKey(host, l.Name)
		s := diag.Subject{Kind: "sysctl", Name: key, Netns: host.ID}
		if v, _ := host.Sysctl(key); v != "1" || !l.Up || slices.Contains(ups, l) || sameSubject(told, s) >= 0 {
			continue
		}
		var flow sim.Flow
		c := knock(in, host, l, func(f sim.Flow, t *sim.Trace) bool {
			flow = f
			return t.Where != nil && t.Where.Cause == sim.CauseRPFilter && t.Where.Netns == host.ID && t.Where.Device == l.Name
		})
		if c == nil {
			continue
		}
		f := diag.Finding{
			Severity: diag.Info,
			Summary:  fmt.Sprintf("%s=1: of those who come in by %s only its own neighbours reach ports that are published at %s, such as %d/%s of %s", fixups.SysctlName(key), l.Name, flow.Dst, flow.Dport, flow.Proto, c.Name),
			Cause:    fmt.Sprintf("the way back to others leaves by %s, and strict filtering drops what came in elsewhere", ups[0].Name),
			Subject:  s,
			Evidence: []diag.Evidence{ev("sysctl "+fixups.SysctlName(key), fixups.SysctlName(key)+" = 1", snap.RefSysctl(host.ID, key))},
			Advice:   "nothing to do where nobody else is meant to come by " + l.Name + "; else loose mode (2), or policy routing, one table for each uplink",
			Weight:   25,
		}
		// Where rules lead this address's own answers back by the device, somebody has
		// seen to it, and what the filter dropped, noise mostly, is no sign against that.
		back := in.World.Route(host.ID, sim.RouteQuery{Src: flow.Dst, Dst: flow.Src}).Ways
		if host.RPFiltered > 0 && !slices.ContainsFunc(back, func(w sim.RouteWay) bool { return w.Dev == l.Name }) {
			f.Severity = diag.Warning
			f.Evidence = append(f.Evidence, ev("nstat -az TcpExtIPReversePathFilter", fmt.Sprintf("TcpExtIPReversePathFilter %d", host.RPFiltered), snap.RefNetns(host.ID)))
		}
		if ops := loosened(in, host, l, flow); ops != nil {
			f.Fix = &diag.Fix{Ops: ops, Survives: "until reboot"}
		}
		out = append(out, f)
	}
	return out
}

// afar is somebody in the Internet, as whom packets are followed; none is sent there.
var afar = netip.MustParseAddr("1.1.1.1")

// knock is a container with a port that is published at a device's address, and to which
// what comes in by the device from the Internet has a way that is looked for; nil when
// there is none.
func knock(in *diag.Input, host *snap.Netns, l *snap.Link, sought func(sim.Flow, *sim.Trace) bool) *snap.Container {
	for _, a := range host.AddrsOf(l.Index) {
		for i := range in.Snap.Containers {
			c := &in.Snap.Containers[i]
			for j := range c.Ports {
				p := &c.Ports[j]
				ip := a.Prefix.Addr()
				if !c.Running() || p.HostPort == 0 || !ip.Is4() || !diag.CoversAddr(p, ip) {
					continue
				}
				f := sim.Flow{From: host.ID, Iif: l.Name, Src: afar, Dst: ip, Proto: p.Proto, Dport: p.HostPort, StopOutside: true}
				if sought(f, in.World.Trace(f)) {
					return c
				}
			}
		}
	}
	return nil
}

// loosened sets the device to what new devices get (conf/default), if the
// packet passes then, else to loose mode; nil when neither helps.
func loosened(in *diag.Input, host *snap.Netns, l *snap.Link, flow sim.Flow) []fixups.Op {
	values := []string{"2"}
	if d, ok := host.Sysctl("net/ipv4/conf/default/rp_filter"); ok && d != "1" {
		values = []string{d, "2"}
	}
	for _, v := range values {
		ops := []fixups.Op{&fixups.SysctlSet{Where: at(in, host.ID), Key: "net/ipv4/conf/" + l.Name + "/rp_filter", Value: v}}
		after := worldWith(in, ops)
		if after == nil {
			continue
		}
		if w := after.Trace(flow).Where; w == nil || w.Cause != sim.CauseRPFilter {
			return ops
		}
	}
	return nil
}

func orSender(known bool, text string) string {
	if known {
		return text
	}
	return "the sender"
}

// rpKey is the sysctl that decides: the larger of conf/all's and the device's own.
func rpKey(ns *snap.Netns, dev string) string {
	own, all := "net/ipv4/conf/"+dev+"/rp_filter", "net/ipv4/conf/all/rp_filter"
	a, _ := ns.Sysctl(all)
	if o, ok := ns.Sysctl(own); !ok || a > o {
		return all
	}
	return own
}

// fixND2202 sets the device to what new devices get (conf/default), if traffic
// works then, else to loose mode. A conf/all that decides is left strict: the
// device's own 2 is larger and wins.
func fixND2202(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	if ns == nil || len(f.Covers.Traces) == 0 {
		return nil
	}
	own := f.Subject.Name
	if strings.HasSuffix(own, "/all/rp_filter") {
		own = "net/ipv4/conf/" + in.Flows[f.Covers.Traces[0]].Trace.Where.Device + "/rp_filter"
	}
	values := []string{"2"}
	if d, ok := ns.Sysctl("net/ipv4/conf/default/rp_filter"); ok && d != "1" {
		values = []string{d, "2"}
	}
	for _, v := range values {
		ops := []fixups.Op{&fixups.SysctlSet{Where: at(in, ns.ID), Key: own, Value: v}}
		if heals(in, f.Covers.Traces[0], ops) {
			return ops
		}
	}
	return nil
}
