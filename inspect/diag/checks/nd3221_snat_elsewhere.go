package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3221: a rule gives packets a source at which nobody takes the answers.
//
// Answers go to the source that a packet left with. A SNAT rule that names an address
// of the uplink's own subnet which this host neither has nor answers ARP for makes
// them go to nobody, or to another machine: the host's address has changed since
// (DHCP, a restored rule set, a cloned machine), or it was mistyped. A source beyond
// the subnet may be routed here on purpose; it is told of only where a live probe
// gets no answer while the host itself does.
//
// See it by hand:
//
//	iptables -t nat -S POSTROUTING           SNAT --to-source ADDRESS
//	ip -4 addr show to ADDRESS               nothing
//	tcpdump -ni UPLINK host ADDRESS          requests leave, answers are not for this host
//
// Sources: iptables-extensions(8): SNAT; RFC 826
func nd3221() diag.Check {
	return diag.Check{
		Code: "ND3221", Name: "snat-to-nobody", Severity: diag.Error, Since: "0.1",
		Title:  "A NAT rule sends packets out with a source address that this host does not have",
		After:  []diag.Code{"ND6101"},
		Detect: detectND3221,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			p := lastSNAT(&in.Flows[f.Covers.Traces[0]])
			if r, _ := in.Wanted(&sim.Where{Netns: in.Snap.Host.Netns, Rule: p}); r != nil {
				return nil // as its network was made
			}
			if op := deleteRule(in, in.Snap.Host.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil {
				return []fixups.Op{op}
			}
			return nil
		},
	}
}

func detectND3221(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		t := f.Trace
		if f.Outside || t.LeftHost == "" || host == nil || t.LeftNetns != host.ID || !t.ExitSrc.IsValid() {
			continue
		}
		src := t.ExitSrc.Addr()
		p := lastSNAT(f)
		if p == nil || takesIn(host, src) {
			continue
		}
		subnet := onLink(in, src)
		failed := diag.ProbeSays(f.Probe) == "dropped" && in.TwinSays(f) == "delivered"
		if diag.ProbeSays(f.Probe) == "delivered" || subnet == "" && !failed {
			continue
		}
		subject := diag.Subject{Kind: "rule", Name: string(p.Ref), Netns: host.ID}
		if at := sameSubject(out, subject); at >= 0 {
			out[at].Covers.Traces = append(out[at].Covers.Traces, i)
			continue
		}
		line, source := ruleText(in, host.ID, p)
		advice := fmt.Sprintf("the rule may be meant for another address: correct it where it is written, too; whoever out there knows this host by %s has to be told", src)
		if r, engine := in.Wanted(&sim.Where{Netns: host.ID, Rule: p}); r != nil {
			advice = fmt.Sprintf("%s wrote it, as the network was made with that address: give it back to %s (ip addr add) where it is still this host's, else make the network anew without it", engine, t.LeftHost)
		}
		out = append(out, diag.Finding{
			Summary: fmt.Sprintf("%s gives packets of %s the source %s, which this host does not have: answers go astray", diag.ChainName(&sim.Where{Rule: p}), f.From, src),
			Cause:   fmt.Sprintf("they leave %s as %s, and no device of this host takes in, or answers ARP for, that address", t.LeftHost, src),
			Subject: subject,
			Evidence: []diag.Evidence{
				ev(source, line, p.Ref),
				ev("ip addr show to "+src.String(), "(nothing)", snap.RefNetns(host.ID)),
			},
			Covers: diag.Cover{Traces: []int{i}},
			Advice: advice,
			Weight: 72,
		})
	}
	for k := range out {
		src := in.Flows[out[k].Covers.Traces[0]].Trace.ExitSrc.Addr()
		if n := knownAt(host, src); n != nil {
			out[k].Summary += fmt.Sprintf(", to another machine, which has it now (%s)", n.MAC)
			out[k].Evidence = append(out[k].Evidence, ev("ip neigh show to "+src.String(), n.IP.String()+" lladdr "+n.MAC+" "+strings.ToUpper(n.State), snap.RefNetns(host.ID)))
		}
		out[k].Covers.Names = coverSenders(in, out[k].Covers.Traces)
	}
	return out
}

// knownAt is the entry of a neighbour that has an address, nil where none is known.
func knownAt(host *snap.Netns, ip netip.Addr) *snap.Neigh {
	for i := range host.Neighs {
		if n := &host.Neighs[i]; n.IP == ip && n.MAC != "" && slices.Contains([]string{"reachable", "stale", "delay", "probe"}, n.State) {
			return n
		}
	}
	return nil
}

// takesIn says whether the host takes in packets for an address, or answers
// questions for it: it has it, a local route covers it, or it stands proxy.
func takesIn(host *snap.Netns, ip netip.Addr) bool {
	if _, has := host.HasAddr(ip); has {
		return true
	}
	if slices.ContainsFunc(host.Routes, func(r snap.Route) bool { return r.Type == "local" && r.Dst.Contains(ip) }) {
		return true
	}
	if slices.ContainsFunc(host.Neighs, func(n snap.Neigh) bool { return n.Proxy && n.IP == ip }) {
		return true
	}
	for _, l := range host.Links {
		if v, ok := host.Sysctl("net/ipv4/conf/" + l.Name + "/proxy_arp"); ok && v == "1" {
			return true
		}
	}
	return false
}

// lastSNAT is the rule that gave a flow the fixed source it left with; nil when none did.
func lastSNAT(f *diag.FlowCase) *rules.Place {
	if m := translated(f); m != nil && m.Kind == "snat" {
		return m.Place
	}
	return nil
}
