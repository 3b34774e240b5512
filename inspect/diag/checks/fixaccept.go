package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// firstDrop is the place of a chain's first rule that does nothing but stop packets,
// 0 for none: answers are let in before it. Behind it they would pass the policy,
// and die by that rule.
func firstDrop(c *snap.Chain) int {
	for i := range c.Rules {
		r := &c.Rules[i]
		drops := rejects(r)
		for _, e := range r.Exprs {
			if x, ok := e.(*snap.Immediate); ok && x.Verdict != nil {
				drops = drops || x.Verdict.Code == "drop"
			}
		}
		if drops {
			return i + 1
		}
	}
	return 0
}

// fixAccept mends a policy that drops: an empty legacy table that nobody uses
// gets its policy back, and so does a chain for the host's own traffic that
// accepts nothing at all; else the narrowest rule that lets the bridge's traffic
// pass is added. The policy itself stays.
func fixAccept(in *diag.Input, f *diag.Finding) []fixups.Op {
	w := diag.RulePlace(in.Flows[f.Covers.Traces[0]].Trace.Where)
	p := w.Rule
	if p == nil || p.ChainP == nil {
		return nil
	}
	if p.System == snap.IPTablesLegacy && abandoned(in.Netns(w.Netns), p) {
		return []fixups.Op{&fixups.ChainPolicy{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Policy: "accept"}}
	}
	if o := in.Owner(w); o == "firewalld" || o == "ufw" {
		f.Advice = ownerAdvice(o)
		return nil
	}
	if p.Family == "arp" {
		if p.System != snap.NFT {
			return []fixups.Op{&fixups.ChainPolicy{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Policy: "accept"}}
		}
		return []fixups.Op{&fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Text: "accept"}}
	}
	if p.ChainP.Hook != "forward" && len(p.ChainP.Rules) == 0 && p.System != snap.NFT {
		f.Advice = "whoever set the policy meant to add rules that accept: set it again when they are there"
		return []fixups.Op{&fixups.ChainPolicy{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Policy: "accept"}}
	}
	if untracked(p) {
		f.Advice = "connections are not told apart yet where this chain stands: let it begin behind conntrack (a priority above -200) and accept ct state established, or accept what is meant to come in by address and port"
		return nil
	}
	if p.ChainP.Hook != "forward" && diag.Deaf(in.Flows[f.Covers.Traces[0]].Trace) && p.Family != snap.BridgeFamily {
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: firstDrop(p.ChainP)}
		if op.Args = []string{"-p", "ipv6-icmp", "-j", "ACCEPT"}; p.System == snap.NFT {
			op.Args, op.Text = nil, "meta l4proto ipv6-icmp accept"
		}
		return []fixups.Op{op}
	}
	if w.Reply {
		return established(in, w.Netns, p, firstDrop(p.ChainP))
	}
	if p.ChainP.Hook != "forward" {
		ops := acceptPorts(in, f, w.Netns, p)
		if len(ops) == 0 {
			f.Advice = narrowest
		}
		return ops
	}
	by := bridgesOf(in, f.Covers.Traces)
	if w.Netns != in.Snap.Host.Netns {
		by = cameBy(in, f.Covers.Traces, w.Netns)
	}
	var ops, answers []fixups.Op
	for _, dev := range by {
		to, back := accept(in, w.Netns, p, dev, "")
		ops, answers = append(ops, to), append(answers, back)
	}
	if both := slices.Concat(ops, answers); joins(in, f, both) {
		ops = acceptWays(in, f, w.Netns, p, both)
	}
	if !healAll(in, f.Covers.Traces, ops) {
		ops = append(ops, answers...) // no rule lets them pass yet
	}
	ops = append(ops, acceptPublished(in, f, w.Netns, p)...)
	if len(ops) == 0 {
		f.Advice = narrowest
	}
	return ops
}

const narrowest = "add the narrowest rule that accepts it, or have the program that owns the chain do so"

// acceptPorts lets what comes in by the senders' bridges, or by a container's own
// device, reach the very ports that they ask for; and what is sent from here leave
// for those that it asks for, by the device that the routes choose.
func acceptPorts(in *diag.Input, f *diag.Finding, netns string, p *rules.Place) []fixups.Op {
	out := p.ChainP.Hook == "output"
	if !out && p.ChainP.Hook != "input" {
		return nil
	}
	var ops []fixups.Op
	seen := map[string]bool{}
	for _, i := range f.Covers.Traces {
		flow := in.Flows[i].Flow
		if flow.From == netns && flow.Iif == "" && !out && !seen["lo"] { // a host talks to itself by its loopback
			seen["lo"] = true
			op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, netns, p.TableP, p.Chain), Args: []string{"-i", "lo", "-j", "ACCEPT"}}
			if p.System == snap.NFT {
				op.Args, op.Text = nil, `iifname "lo" accept`
			}
			if heals(in, i, []fixups.Op{op}) {
				ops = append(ops, op)
				continue
			}
		}
		by, dport := bridgesOf(in, []int{i}), flow.Dport
		if w := diag.RulePlace(in.Flows[i].Trace.Where); w.Device != "" && (out || netns != in.Snap.Host.Netns) {
			by = []string{w.Device}
		}
		// Without DNAT, as for IPv6 by default, a program of the host takes what comes to a
		// published port (moby cmd/docker-proxy), and INPUT lets it in.
		if _, _, at := in.PublishedAt(flow.Dst, flow.Dport, flow.Proto); at && flow.Iif != "" && !out && netns == in.Snap.Host.Netns {
			by = []string{flow.Iif}
		}
		if out {
			dport = sentTo(&in.Flows[i], netns)
		}
		for _, dev := range by {
			key := fmt.Sprint(dev, flow.Proto, dport)
			if seen[key] {
				continue
			}
			seen[key] = true
			ops = append(ops, acceptPort(fixups.ChainAt(in.Snap, netns, p.TableP, p.Chain), out, dev, flow.Proto, dport))
			if usesUFW(p.TableP) && !out {
				f.Advice = fmt.Sprintf("to keep it over ufw's next reload: ufw allow in on %s to any port %d proto %s", dev, dport, flow.Proto)
			}
		}
	}
	return ops
}

// sentTo is the port that a flow is sent to from this namespace in the end: DNAT in
// OUTPUT comes before the filter, and a proxy here asks for another one.
func sentTo(f *diag.FlowCase, netns string) uint16 {
	t, port := f.Trace, f.Flow.Dport
	for t.Proxy != nil {
		t = t.Proxy
	}
	for _, h := range t.Forward {
		if h.Netns == netns && h.Dst.IsValid() && h.Dst.Port() != 0 {
			port = h.Dst.Port()
		}
	}
	return port
}

// acceptPort is the rule for one device and one port; 0 is none, for ICMP.
func acceptPort(ref fixups.ChainRef, out bool, dev string, proto snap.Proto, dport uint16) fixups.Op {
	op := &fixups.RuleInsert{ChainRef: ref}
	name, flag := "iifname", "-i"
	if out {
		name, flag = "oifname", "-o"
	}
	switch {
	case ref.System == snap.NFT && dport == 0:
		op.Text = fmt.Sprintf("%s %q meta l4proto %s accept", name, dev, proto)
	case ref.System == snap.NFT:
		op.Text = fmt.Sprintf("%s %q %s dport %d accept", name, dev, proto, dport)
	default:
		op.Args = []string{flag, dev, "-p", string(proto)}
		if dport != 0 {
			op.Args = append(op.Args, "-m", string(proto), "--dport", port(dport))
		}
		op.Args = append(op.Args, "-j", "ACCEPT")
	}
	return op
}

// usesUFW says whether ufw wrote chains into a table.
func usesUFW(t *snap.Table) bool {
	return slices.ContainsFunc(t.Chains, func(c snap.Chain) bool { return strings.HasPrefix(c.Name, "ufw-") })
}

// abandoned says whether a legacy table holds no rule while the rules of this
// host live in nf_tables: the two-worlds case.
func abandoned(ns *snap.Netns, p *rules.Place) bool {
	if ns == nil || p.TableP == nil {
		return false
	}
	for _, c := range p.TableP.Chains {
		if len(c.Rules) > 0 {
			return false
		}
	}
	other := ns.Ruleset.Table(snap.IPTablesNFT, p.Family, p.Table)
	return other != nil
}

// cameBy are the devices by which flows come into a namespace.
func cameBy(in *diag.Input, flows []int, netns string) []string {
	var out []string
	for _, i := range flows {
		for _, h := range in.Flows[i].Trace.Forward {
			if h.Netns == netns && h.Device != "" {
				if !slices.Contains(out, h.Device) {
					out = append(out, h.Device)
				}
				break
			}
		}
	}
	return out
}

// bridgesOf are the devices of the host by which the senders of flows come in.
func bridgesOf(in *diag.Input, flows []int) []string {
	var out []string
	for _, i := range flows {
		out = bridgesBeside(in, in.Flows[i].Flow.From, out)
	}
	return out
}

// bridgesBeside adds to a list the host's bridges, or bare devices, that lead to a namespace.
func bridgesBeside(in *diag.Input, netns string, out []string) []string {
	ns := in.Netns(netns)
	if ns == nil {
		return out
	}
	for k := range ns.Links {
		peer, ok := in.Graph.Peer(&ns.Links[k])
		if !ok || peer.Netns.ID != in.Snap.Host.Netns {
			continue
		}
		name := peer.Link.Name
		if m := peer.Netns.LinkAt(peer.Link.Master); m != nil {
			name = m.Name
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// accept lets what comes in by a bridge, and goes out by a device ("" any), and the
// answers to it, pass a chain of the forward hook. The rules go to its end: they then
// decide only what every other rule left to the policy, and no engine's isolation is
// passed by.
func accept(in *diag.Input, netns string, p *rules.Place, bridge, out string) (to, back fixups.Op) {
	op := func(words ...string) fixups.Op {
		x := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, netns, p.TableP, p.Chain)}
		if p.System == snap.NFT {
			x.Text = strings.Join(words, " ")
		} else {
			x.Args = words
		}
		return x
	}
	way := []string{"-i", bridge}
	if p.System == snap.NFT {
		way = []string{"iifname", `"` + bridge + `"`}
		if out != "" {
			way = append(way, "oifname", `"`+out+`"`)
		}
		return op(append(way, "accept")...), op("oifname", `"`+bridge+`"`, "ct", "state", "established,related", "accept")
	}
	if out != "" {
		way = append(way, "-o", out)
	}
	return op(append(way, "-j", "ACCEPT")...), op("-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT")
}
