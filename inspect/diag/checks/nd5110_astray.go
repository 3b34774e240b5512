package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5110: a published port is answered by somebody else than its container, or
// by nobody although it is published.
//
// Packets to a published port reach the container by a DNAT rule, or, from the host
// itself and by ways that no rule covers, through the docker-proxy process that
// listens on the port. With --userland-proxy=false the engine keeps a socket of its
// own on the port as a placeholder: when the DNAT rule is gone, connections end
// there, are accepted by the kernel, and nobody ever answers. When the proxy has
// died, connections from the host itself are refused.
//
// See it by hand:
//
//	iptables -t nat -S DOCKER                no DNAT for the port
//	ss -lntp 'sport = :PORT'                 dockerd holds it, or nobody does
//	docker port NAME
//
// Sources: moby libnetwork/portmapper; cmd/docker-proxy
func nd5110() diag.Check {
	return diag.Check{
		Code: "ND5110", Name: "published-port-astray", Severity: diag.Error, Since: "0.1",
		Title: "A published port does not lead to its container",
		After: []diag.Code{"ND6101", "ND3201", "ND3205"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				c := in.Snap.Container(f.Target)
				if !f.Astray || f.Trace.Arrived == "" || f.Excused || c == nil || ruleGone(in, c, f.Port) {
					continue
				}
				holder := f.Trace.Socket.Holder("another socket")
				x := diag.Finding{
					Summary:  fmt.Sprintf("port %d/%s of this host ends at %s in %s instead of %s: no DNAT rule sends it to the container", f.Port.HostPort, f.Port.Proto, holder, in.Who(f.Trace.Arrived), c.Name),
					Cause:    fmt.Sprintf("no rule of nat PREROUTING or OUTPUT sends port %d to %s, so the host's own socket takes the connection", f.Port.HostPort, c.Name),
					Subject:  diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/%s/host", f.Port.HostPort, f.Port.Proto), Netns: in.Snap.Host.Netns},
					Evidence: []diag.Evidence{ev("ss -lntup", fmt.Sprintf("%s %s", f.Trace.ArrivedAs, holder), snap.RefNetns(f.Trace.Arrived)), ev("iptables -t nat -S", fmt.Sprintf("(no DNAT of port %d to %s)", f.Port.HostPort, c.Name), snap.RefNetns(in.Snap.Host.Netns))},
					Covers:   diag.Cover{Traces: []int{i}},
					Advice:   fmt.Sprintf("put the rule back, or restart %s so that its engine does", c.Name),
					Weight:   57,
				}
				if why, advice := elsewise(in, c, f.Port); why != "" {
					x.Summary = fmt.Sprintf("port %d/%s of this host ends at %s in %s instead of %s: %s", f.Port.HostPort, f.Port.Proto, holder, in.Who(f.Trace.Arrived), c.Name, why)
					x.Cause = "the engine keeps the port, and nothing leads it to the container there"
					x.Advice = advice
				}
				if at := sameSubject(out, x.Subject); at >= 0 {
					out[at].Covers.Traces = append(out[at].Covers.Traces, i)
					continue
				}
				out = append(out, x)
			}
			return append(out, unanswered(in)...)
		},
		Fix: fixND5110,
	}
}

// elsewise says why an engine leads no port to a container none of whose networks is a
// bridge, and what serves instead; "" where one is.
func elsewise(in *diag.Input, c *snap.Container, p *snap.Port) (why, advice string) {
	for i := range c.Endpoints {
		n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[i])
		if n == nil || n.Driver != "macvlan" && n.Driver != "ipvlan" {
			return "", ""
		}
	}
	return whyUnbound(in, c, p)
}

// fixND5110 leads the port on again, by the chain that did so where it is left over
// and nobody jumps to it any more. Engines whose rules are known are mended by ND6101.
func fixND5110(in *diag.Input, f *diag.Finding) []fixups.Op {
	host := in.Snap.HostNs()
	if host == nil || len(f.Covers.Traces) == 0 {
		return nil
	}
	flow := &in.Flows[f.Covers.Traces[0]]
	c := in.Snap.Container(flow.Target)
	if c == nil || flow.Port == nil {
		return nil
	}
	if eng := in.Snap.Engine(c.Engine); eng == nil || !eng.IPTables {
		return nil // its rules are somebody else's business
	}
	e, _ := intent.PublishedOn(in.Snap, c)
	if e == nil || !e.IPv4.IsValid() {
		return nil
	}
	to := netip.AddrPortFrom(e.IPv4.Addr(), flow.Port.ContainerPort)
	if op := portmapNFT(in, host, c, flow.Port, to); op != nil {
		return []fixups.Op{op}
	}
	for i := range host.Ruleset.Tables {
		t := &host.Ruleset.Tables[i]
		if t.Name != "nat" || t.Family != snap.IPv4 || t.System != snap.IPTablesNFT && t.System != snap.IPTablesLegacy {
			continue
		}
		target := []string{"DNAT", "--to-destination", to.String()}
		jumps := jumpsOf(host, t)
		if left := leftOver(host, t, jumps, "--to-destination "+to.String()); left != "" {
			target = []string{left}
		}
		proto := string(flow.Port.Proto)
		match := []string{"-p", proto, "-m", proto, "--dport", strconv.Itoa(int(flow.Port.HostPort))}
		if h := flow.Port.HostIP; h.IsValid() && h.Is4() && !h.IsUnspecified() {
			match = append([]string{"-d", h.String() + "/32"}, match...)
		}
		if ops := refilled(in, host, t, flow.Port, e, target); ops != nil {
			return ops
		}
		chains, local := publishChains(t, jumps, othersChains(in, c.Engine))
		var ops []fixups.Op
		for _, chain := range chains {
			args := slices.Clone(match)
			if local {
				args = append(args, "-m", "addrtype", "--dst-type", "LOCAL")
			}
			ref := fixups.ChainRef{Where: at(in, host.ID), System: t.System, Family: t.Family, Table: t.Name, Chain: chain}
			ops = append(ops, &fixups.RuleInsert{ChainRef: ref, Args: append(append(args, "-j"), target...)})
		}
		return ops
	}
	return nil
}

// refilled puts a port's rules back into the chain of it that its packets still go to
// and that was emptied; nil where there is none. In a chain of CNI's portmap plugin those
// come first that mark what has to be masqueraded, from the container's network and from
// this host (containernetworking/plugins plugins/meta/portmap/portmap_iptables.go).
func refilled(in *diag.Input, host *snap.Netns, t *snap.Table, p *snap.Port, e *snap.Endpoint, target []string) []fixups.Op {
	num, proto := strconv.Itoa(int(p.HostPort)), string(p.Proto)
	for i := range t.Chains {
		for k := range t.Chains[i].Rules {
			words := intent.Args(firewall.RuleText(host, t, &t.Chains[i], &t.Chains[i].Rules[k]))
			at := slices.IndexFunc(words, func(w string) bool { return w == "--dport" || w == "--dports" })
			if at < 0 || at+1 >= len(words) {
				continue
			}
			x := t.Chain(words[len(words)-1])
			if x == nil || x.Hook != "" || len(x.Rules) > 0 || !slices.Contains(words, proto) || !slices.Contains(strings.Split(words[at+1], ","), num) {
				continue
			}
			var ops []fixups.Op
			put := func(from []string, target ...string) {
				args := append(from, "-p", proto, "-m", proto, "--dport", num, "-j")
				ops = append(ops, &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, host.ID, t, x.Name), Args: append(args, target...)})
			}
			if m := t.Chain(cniMarks); strings.HasPrefix(x.Name, "CNI-DN-") && m != nil && len(m.Rules) > 0 {
				put([]string{"-s", e.IPv4.Masked().String()}, cniMarks)
				put([]string{"-s", "127.0.0.1/32"}, cniMarks)
			}
			put(nil, target...)
			return ops
		}
	}
	return nil
}

// ruleGone says that the rule of a published port is known to be missing: what its
// engine wants is told, and put back, by ND6101. That finding need
// not explain the flow: a second fault may stop it behind the rule.
func ruleGone(in *diag.Input, c *snap.Container, p *snap.Port) bool {
	return p != nil && slices.ContainsFunc(wantedRules(in), func(set intent.Set) bool {
		if set.Engine != c.Engine {
			return false
		}
		return slices.ContainsFunc(intent.Diff(in.Snap, set).Missing, func(m intent.Insert) bool {
			return m.Table == "nat" && m.Container == c.Ref && m.Port != nil && m.Port.HostPort == p.HostPort && m.Port.Proto == p.Proto
		})
	})
}

// jumpsOf are the chains that some rule of an iptables table goes to, each with the
// chains that those rules are in.
func jumpsOf(host *snap.Netns, t *snap.Table) map[string][]string {
	out := map[string][]string{}
	for i := range t.Chains {
		c := &t.Chains[i]
		for k := range c.Rules {
			words := intent.Args(firewall.RuleText(host, t, c, &c.Rules[k]))
			for w := range words[:max(len(words)-1, 0)] {
				if words[w] == "-j" || words[w] == "-g" {
					out[words[w+1]] = append(out[words[w+1]], c.Name)
				}
			}
		}
	}
	return out
}

// leftOver is a chain that nobody jumps to and that has a rule which ends so; "" none.
func leftOver(host *snap.Netns, t *snap.Table, jumps map[string][]string, end string) string {
	for i := range t.Chains {
		c := &t.Chains[i]
		if c.Hook != "" || len(jumps[c.Name]) > 0 {
			continue
		}
		for k := range c.Rules {
			if strings.HasSuffix(firewall.RuleText(host, t, c, &c.Rules[k]), end) {
				return c.Name
			}
		}
	}
	return ""
}

// publishChains are where an engine's published ports belong: the chain that both
// PREROUTING and OUTPUT go to, which they do for local destinations only, else these
// two themselves. Of several such chains it is the one that lost all it had; those
// of other engines are not asked.
func publishChains(t *snap.Table, jumps map[string][]string, others []string) (chains []string, local bool) {
	var shared, empty []string
	for i := range t.Chains {
		c := &t.Chains[i]
		if from := jumps[c.Name]; slices.Contains(from, "PREROUTING") && slices.Contains(from, "OUTPUT") && !slices.Contains(others, c.Name) {
			shared = append(shared, c.Name)
			if len(c.Rules) == 0 {
				empty = append(empty, c.Name)
			}
		}
	}
	for _, one := range [][]string{empty, shared} {
		if len(one) == 1 {
			return one, false
		}
	}
	return []string{"PREROUTING", "OUTPUT"}, true
}

// othersChains are the chains that other engines than this one want.
func othersChains(in *diag.Input, engine string) []string {
	var out []string
	for _, set := range wantedRules(in) {
		for _, c := range set.Chains {
			if set.Engine != engine {
				out = append(out, c.Name)
			}
		}
	}
	return out
}

// unanswered are the published ports of engines without a proxy that no rule
// leads on: the host itself refuses them.
func unanswered(in *diag.Input) []diag.Finding {
	all := atHost(in, func(f *diag.FlowCase) *diag.Finding {
		c := in.Snap.Container(f.Target)
		if f.Port == nil || c == nil {
			return nil
		}
		if e := in.Snap.Engine(c.Engine); e == nil || e.UserlandProxy || e.Rootless || !c.Running() {
			return nil
		}
		hook := "prerouting"
		if f.Flow.Iif == "" {
			hook = "output"
		}
		return &diag.Finding{
			Summary: fmt.Sprintf("no %s rule sends port %d/%s of this host to %s, which publishes it: %s is refused", hook, f.Port.HostPort, f.Port.Proto, c.Name, f.From),
			Cause:   fmt.Sprintf("the packet passes the nat chains of the hook %s with the destination %s:%d as it was, and nobody on this host listens there", hook, f.Flow.Dst, f.Flow.Dport),
			Evidence: []diag.Evidence{
				ev("nft list ruleset; iptables -t nat -S", fmt.Sprintf("(no dnat of %d to %s in %s)", f.Port.HostPort, c.Name, hook), snap.RefNetns(in.Snap.Host.Netns)),
				ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %d", f.Port.ContainerPort, f.Port.Proto, f.Port.HostPort), snap.RefContainer(c.Ref)),
			},
			Advice: fmt.Sprintf("put the rule back, or restart %s so that its engine does", c.Name),
		}
	})
	var out []diag.Finding
	for _, f := range all {
		if k := sameSubject(out, f.Subject); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, f.Covers.Traces...)
			continue
		}
		out = append(out, f)
	}
	return out
}

// sameSubject is the finding that speaks of a subject; -1 none does.
func sameSubject(fs []diag.Finding, s diag.Subject) int {
	for i := range fs {
		if fs[i].Subject == s {
			return i
		}
	}
	return -1
}
