package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2202: reverse-path filtering drops packets that come in by another way
// than answers would leave.
func nd2202() diag.Check {
	return diag.Check{
		Code: "ND2202", Name: "rp-filter", Severity: diag.Error, Since: "0.1",
		Title: "Strict reverse-path filter drops packets that came in by another way",
		Doc: `With rp_filter=1 the kernel drops a packet when the route back to its source does
not leave by the device it came in by. Hosts with two uplinks, VPNs and policy
routing have such ways by design; the packet vanishes without a word before any
firewall rule sees it. The larger of conf/all and the device's own value counts.
Loose mode (2) only asks whether the source can be reached at all.

See it by hand:
    sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.DEVICE.rp_filter
    ip route get SOURCE                      leaves by another device
    nstat -az TcpExtIPReversePathFilter      counts

Sources: net/ipv4/fib_frontend.c: __fib_validate_source; RFC 3704; ip-sysctl.rst`,
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
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s=%s in %s drops %s → %s%s: the way back to %s does not leave by %s", dotted(key), value, in.Who(ns.ID), first.From, first.To, more(g), orSender(src.IsValid(), src.String()), w.Device),
			Cause:    w.Detail,
			Subject:  diag.Subject{Kind: "sysctl", Name: key, Netns: ns.ID},
			Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "sysctl "+dotted(key)), dotted(key)+" = "+value, snap.RefSysctl(ns.ID, key))},
			Covers:   diag.Cover{Traces: g.Flows},
			Advice:   "loose mode (2) keeps the protection against impossible sources; policy routing, one table for each uplink, also makes answers leave where questions came in",
			Weight:   74,
		}
		for _, l := range in.Snap.Host.SysctlFiles {
			if l.Key == key && ns.ID == in.Snap.Host.Netns {
				f.Evidence = append(f.Evidence, ev(fmt.Sprintf("%s line %d", l.File, l.Line), dotted(key)+" = "+l.Value, ""))
			}
		}
		out = append(out, f)
	}
	return out
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
