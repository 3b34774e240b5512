package checks

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

const defaultTTL = "net/ipv4/ip_default_ttl"

// fewHops is a default TTL that does not reach everywhere: ways of 20 and more hops
// are found in the Internet, and 64 is what systems send with (RFC 1700).
const fewHops = 32

// nd2122: packets are sent with hardly any life.
func nd2122() diag.Check {
	return diag.Check{
		Code: "ND2122", Name: "short-ttl", Severity: diag.Warning, Since: "0.2",
		Title: "Packets are sent with a TTL that does not reach far",
		Doc: `Each router takes one from a packet's time to live, and throws it away at zero.
net.ipv4.ip_default_ttl is what a namespace's packets begin with: 64 unless somebody
changed it, to hide tethering or in a test. With too little the neighbours are
reached and the world is not, and traceroute to the same place works: it sets a TTL
of its own.

See it by hand:
    nsenter -t PID -n sysctl net.ipv4.ip_default_ttl
    tcpdump -vni UPLINK icmp[0]==11          time exceeded, from a router near by

Sources: net/ipv4/ip_forward.c; RFC 1812 section 5.3.1; RFC 1700, IP TIME TO LIVE`,
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Netns {
				ns := &in.Snap.Netns[i]
				v, ok := ns.Sysctl(defaultTTL)
				n, err := strconv.Atoi(v)
				if !ns.Class.Ours() || !ok || err != nil || n >= fewHops {
					continue
				}
				f := diag.Finding{
					Summary:  fmt.Sprintf("%s sends with a TTL of %d: its packets die at the %s router", in.Who(ns.ID), n, nth(n)),
					Cause:    fmt.Sprintf("net.ipv4.ip_default_ttl is %d instead of 64", n),
					Subject:  diag.Subject{Kind: "sysctl", Name: fixups.SysctlName(defaultTTL), Netns: ns.ID},
					Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "sysctl "+fixups.SysctlName(defaultTTL)), fixups.SysctlName(defaultTTL)+" = "+v, snap.RefSysctl(ns.ID, defaultTTL))},
					Weight:   73,
				}
				for k := range in.Flows {
					c := &in.Flows[k]
					if c.Excused || c.Flow.From != ns.ID {
						continue
					}
					// Beyond this host it is not seen where they die.
					if here, _ := shortLived(in, c.Trace.Where, c); here == ns || c.Asked && c.Trace.LeftHost != "" && diag.ProbeSays(c.Probe) == "dropped" {
						f.Covers.Traces = append(f.Covers.Traces, k)
					}
				}
				if len(f.Covers.Traces) > 0 {
					f.Severity = diag.Error
				}
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			return []fixups.Op{&fixups.SysctlSet{Where: at(in, f.Subject.Netns), Key: defaultTTL, Value: "64"}}
		},
	}
}

// nth is a small number as an ordinal.
func nth(n int) string {
	switch {
	case n == 1:
		return "first"
	case n%10 == 2 && n != 12:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3 && n != 13:
		return fmt.Sprintf("%drd", n)
	case n%10 == 1 && n != 11:
		return fmt.Sprintf("%dst", n)
	}
	return fmt.Sprintf("%dth", n)
}

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
	if n, err := strconv.Atoi(v); !ok || err != nil || n >= fewHops {
		return nil, ""
	}
	return ns, v
}
