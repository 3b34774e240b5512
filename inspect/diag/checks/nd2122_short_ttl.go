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
//
// Each router takes one from a packet's time to live, and throws it away at zero.
// net.ipv4.ip_default_ttl is what a namespace's packets begin with, for IPv6 it is each
// device's hop_limit: 64 unless somebody changed it, to hide tethering or in a test,
// or a router advertised less. With too little the neighbours are reached and the
// world is not, and traceroute to the same place works: it sets a TTL of its own.
//
// See it by hand:
//
//	nsenter -t PID -n sysctl net.ipv4.ip_default_ttl net.ipv6.conf.eth0.hop_limit
//	tcpdump -vni UPLINK icmp[0]==11          time exceeded, from a router near by
//
// Sources: net/ipv4/ip_forward.c; RFC 1812 section 5.3.1; RFC 1700, IP TIME TO LIVE;
// net/ipv6/output_core.c: ip6_dst_hoplimit; RFC 4861 section 4.2, Cur Hop Limit
func nd2122() diag.Check {
	return diag.Check{
		Code: "ND2122", Name: "short-ttl", Severity: diag.Warning, Since: "0.2",
		Title:  "Packets are sent with a TTL that does not reach far",
		Detect: detectND2122,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			return []fixups.Op{&fixups.SysctlSet{Where: at(in, f.Subject.Netns), Key: fixups.SysctlKey(f.Subject.Name), Value: "64"}}
		},
	}
}

// life is a setting that packets begin with, and is too short.
type life struct {
	key, dev string // dev: the device of an IPv6 one
	hops     int
}

// shortLives are those of a namespace.
func shortLives(ns *snap.Netns) []life {
	var out []life
	add := func(key, dev string) {
		v, ok := ns.Sysctl(key)
		if n, err := strconv.Atoi(v); ok && err == nil && n < fewHops {
			out = append(out, life{key, dev, n})
		}
	}
	add(defaultTTL, "")
	for i := range ns.Links {
		if l := &ns.Links[i]; !l.Loopback {
			add("net/ipv6/conf/"+l.Name+"/hop_limit", l.Name)
		}
	}
	return out
}

func detectND2122(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() {
			continue
		}
		for _, l := range shortLives(ns) {
			limit := "a TTL"
			if l.dev != "" {
				limit = "an IPv6 hop limit"
			}
			f := diag.Finding{
				Summary:  fmt.Sprintf("%s sends with %s of %d: its packets die at the %s router", in.Who(ns.ID), limit, l.hops, nth(l.hops)),
				Cause:    fmt.Sprintf("%s is %d instead of 64", fixups.SysctlName(l.key), l.hops),
				Subject:  diag.Subject{Kind: "sysctl", Name: fixups.SysctlName(l.key), Netns: ns.ID},
				Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "sysctl "+fixups.SysctlName(l.key)), fmt.Sprintf("%s = %d", fixups.SysctlName(l.key), l.hops), snap.RefSysctl(ns.ID, l.key))},
				Weight:   73,
			}
			for k := range in.Flows {
				c := &in.Flows[k]
				if c.Excused || c.Flow.Dst.Is6() != (l.dev != "") {
					continue
				}
				w := c.Trace.Where
				here := w != nil && w.Cause == sim.CauseTTL && sender(c, w) == ns.ID
				// Beyond this host it is not seen where they die.
				beyond := c.Flow.From == ns.ID && c.Asked && c.Trace.LeftHost != "" && diag.ProbeSays(c.Probe) == "dropped"
				if here || beyond {
					f.Covers.Traces = append(f.Covers.Traces, k)
				}
			}
			if len(f.Covers.Traces) > 0 {
				f.Severity = diag.Error
			}
			out = append(out, f)
		}
	}
	return out
}

// sender is whose packet ended there: the one who asked or who answered.
func sender(c *diag.FlowCase, w *sim.Where) string {
	if w.Reply {
		return c.Trace.Arrived
	}
	return c.Flow.From
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
