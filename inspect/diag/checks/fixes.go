package checks

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// at is a namespace as operations remember it.
func at(in *diag.Input, netns string) fixups.Where { return fixups.At(in.Snap, netns) }

// fix makes the operations that mend a finding; none when it can't.
type fix = func(*diag.Input, *diag.Finding) []fixups.Op

// either is the first of several ways to mend a finding that there is.
func either(ways ...fix) fix {
	return func(in *diag.Input, f *diag.Finding) []fixups.Op {
		for _, way := range ways {
			if ops := way(in, f); len(ops) > 0 {
				return ops
			}
		}
		return nil
	}
}

// linkUpFix sets the finding's device up.
func linkUpFix(in *diag.Input, f *diag.Finding) []fixups.Op {
	return []fixups.Op{&fixups.LinkSet{Where: at(in, f.Subject.Netns), Name: f.Subject.Name, Up: true}}
}

// fixND1103 sets the device up and gives back what went with it: IPv6 addresses and
// the default routes.
func fixND1103(in *diag.Input, f *diag.Finding) []fixups.Op {
	ops := linkUpFix(in, f)
	for _, x := range lostAddrs(in) {
		if x.wentDown() && x.a.ns.ID == f.Subject.Netns && x.dev.Name == f.Subject.Name {
			ops = append(ops, x.back(in)...)
		}
	}
	c := container(in, f.Subject.Netns)
	if c == nil {
		return ops
	}
	best, gw := gatewayAttachment(in, c)
	if best == nil || best.link == nil || hasDefault(best.ns) {
		return ops
	}
	if r, ok := defaultVia(best.ns, best.link, gw); ok {
		ops = append(ops, &fixups.RouteAdd{Where: at(in, best.ns.ID), Route: asEngine(best, r), Devs: []string{best.link.Name}})
	}
	return ops
}

// defaultVia is an IPv4 default route as engines write it: protocol boot, no metric.
func defaultVia(_ *snap.Netns, dev *snap.Link, gw string) (snap.Route, bool) {
	ip, err := netip.ParseAddr(gw)
	if err != nil || dev == nil || !ip.Is4() {
		return snap.Route{}, false
	}
	return snap.Route{
		Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0),
		Scope: "global", Protocol: "boot", Oif: dev.Index, Gateway: ip,
	}, true
}

// asEngine is a default route as the container's engine writes it: netavark's say
// who made them and have a metric (netavark src/network/constants.rs: DEFAULT_METRIC;
// option metric of the network).
func asEngine(a *attachment, r snap.Route) snap.Route {
	if !snap.IsPodman(a.n.Engine) {
		return r
	}
	r.Protocol, r.Metric = "static", 100
	if m, err := strconv.ParseUint(a.n.Options["metric"], 10, 32); err == nil {
		r.Metric = uint32(m)
	}
	return r
}

// fixND1107 makes the veth a port of its network's bridge again.
func fixND1107(in *diag.Input, f *diag.Finding) []fixups.Op {
	for _, a := range attachments(in) {
		if a.host != nil && a.host.Name == f.Subject.Name {
			return []fixups.Op{&fixups.LinkMaster{Where: at(in, f.Subject.Netns), Name: a.host.Name, Master: a.n.Bridge}}
		}
	}
	for _, p := range in.Plains() {
		if p.Host.Name == f.Subject.Name && p.Bridge != nil {
			return []fixups.Op{&fixups.LinkMaster{Where: at(in, f.Subject.Netns), Name: p.Host.Name, Master: p.Bridge.Name}}
		}
	}
	return nil
}

// fixND1108 sets the uplink up where it was set down; a missing carrier can't be mended here.
func fixND1108(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	if ns == nil {
		return nil
	}
	if l := ns.Link(f.Subject.Name); l == nil || l.Up {
		return nil
	}
	return linkUpFix(in, f)
}

// fixND2101 turns forwarding on.
func fixND2101(in *diag.Input, f *diag.Finding) []fixups.Op {
	return []fixups.Op{&fixups.SysctlSet{Where: at(in, f.Subject.Netns), Key: fixups.SysctlKey(f.Subject.Name), Value: "1"}}
}

// fixND2102 gives the bridge its gateway address back, as the engine set it.
func fixND2102(in *diag.Input, f *diag.Finding) []fixups.Op {
	n := in.Graph.NetworkOfBridge(f.Subject.Name)
	host := in.Netns(f.Subject.Netns)
	if host == nil || host.Link(f.Subject.Name) == nil {
		return nil
	}
	if f.Subject.Kind == "address6" {
		for _, a := range attachments(in) {
			if a.n == n && a.e.Gateway6.IsValid() && a.e.IPv6.IsValid() {
				var ops []fixups.Op
				if key := noIPv6On(host.Link(f.Subject.Name)); host.Sysctls[key] == "1" {
					ops = append(ops, &fixups.SysctlSet{Where: at(in, host.ID), Key: key, Value: "0"})
				}
				return append(ops, &fixups.AddrAdd{Where: at(in, host.ID), Dev: f.Subject.Name, Addr: snap.Addr{
					Index: host.Link(f.Subject.Name).Index, Prefix: netip.PrefixFrom(a.e.Gateway6, a.e.IPv6.Bits()), Scope: "global",
					ValidMs: -1, PreferredMs: -1, Flags: []string{"permanent", "nodad"}, // moby sets it so: setup_ipv6_linux.go
				}})
			}
		}
		return nil
	}
	var gw netip.Addr
	var subnet netip.Prefix
	if n != nil {
		gw, subnet = gateway4(n)
	}
	for _, p := range lostPlains(in) {
		if n == nil && p.Bridge.Name == f.Subject.Name {
			gw, subnet = p.Gateway, p.Addr.Masked()
		}
	}
	if !gw.IsValid() || !subnet.IsValid() {
		return nil
	}
	ops := unstray(in, host, host.Link(f.Subject.Name), gw)
	for _, a := range host.AddrsOf(host.Link(f.Subject.Name).Index) {
		if a.Prefix.Addr() == gw && a.Prefix.Bits() > subnet.Bits() {
			ops = append(ops, &fixups.AddrDel{Where: at(in, host.ID), Dev: f.Subject.Name, Prefix: a.Prefix, Peer: a.Peer})
		}
	}
	return append(ops, &fixups.AddrAdd{Where: at(in, host.ID), Dev: f.Subject.Name, Addr: snap.Addr{
		Index: host.Link(f.Subject.Name).Index, Prefix: netip.PrefixFrom(gw, subnet.Bits()), Bcast: snap.LastAddr(subnet), Scope: "global",
		Label: f.Subject.Name, ValidMs: -1, PreferredMs: -1, Flags: []string{"permanent"},
	}})
}

// fixND2103 gives a container its default route.
func fixND2103(in *diag.Input, f *diag.Finding) []fixups.Op {
	for _, p := range in.Plains() {
		if gw := plainGateway(in, &p); gw.IsValid() && p.NS.ID == f.Subject.Netns {
			if r, ok := defaultVia(p.NS, p.Link, gw.String()); ok {
				return []fixups.Op{&fixups.RouteAdd{Where: at(in, p.NS.ID), Route: r, Devs: []string{p.Link.Name}}}
			}
		}
	}
	c := container(in, f.Subject.Netns)
	if c == nil {
		return nil
	}
	best, gw := gatewayAttachment(in, c)
	if best == nil || best.link == nil || !best.link.Up {
		return nil
	}
	r, ok := defaultVia(best.ns, best.link, gw)
	if !ok {
		return nil
	}
	return []fixups.Op{&fixups.RouteAdd{Where: at(in, best.ns.ID), Route: asEngine(best, r), Devs: []string{best.link.Name}}}
}

// fixND2104 replaces the wrong default route.
func fixND2104(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	i := -1
	if ns != nil {
		i = defaultRoute(ns)
	}
	if i < 0 {
		return nil
	}
	add := fixND2103(in, f)
	if len(add) == 0 {
		return nil
	}
	old := ns.Routes[i]
	dev := ""
	if l := ns.LinkAt(old.Oif); l != nil {
		dev = l.Name
	}
	return append([]fixups.Op{&fixups.RouteDel{Where: at(in, ns.ID), Route: old, Devs: []string{dev}}}, add...)
}

// fixStart starts the container.
func fixStart(in *diag.Input, f *diag.Finding) []fixups.Op {
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if c.Name == f.Subject.Name && !c.Running() && c.Engine == "docker" && c.State != "restarting" && !looping(in, c) && !couldNotListen(c) && !job(c) &&
			c.Error == "" && (len(f.Covers.Names)+len(f.Covers.Traces) > 0 || missed(in, c)) {
			return []fixups.Op{&fixups.ContainerStart{Ctr: fixups.CtrOf(c)}}
		}
	}
	return nil
}

// fixDrift puts back what the engine wants in a namespace, and nothing else.
func fixDrift(in *diag.Input, f *diag.Finding) []fixups.Op {
	var ops []fixups.Op
	for _, set := range wantedRules(in) {
		if ns := set.At(in.Snap); ns != nil && set.Engine == f.Subject.Name && ns.ID == f.Subject.Netns {
			ops = append(ops, driftOps(in, ns, set)...)
		}
	}
	return ops
}

// driftOps put back one set of rules.
func driftOps(in *diag.Input, host *snap.Netns, set intent.Set) []fixups.Op {
	d := intent.Diff(in.Snap, set)
	if !d.Broken() && len(staleTargets(&d)) == 0 {
		return nil
	}
	w := at(in, host.ID)
	ops := missingTableOps(host, w, &set, &d)
	ref := func(table, chain string) fixups.ChainRef {
		return fixups.ChainRef{Where: w, System: set.System, Family: set.Family, Table: table, Chain: chain}
	}
	for _, m := range d.Maps {
		ops = append(ops, &fixups.SetAdd{ChainRef: ref(m.Table, ""), Set: fixups.VerdictMap(m.Name)})
	}
	for _, m := range d.Sets {
		t := host.Ruleset.Table(set.System, set.Family, m.Table)
		if t == nil || t.Set(m.Set.Name) == nil {
			ops = append(ops, &fixups.SetAdd{ChainRef: ref(m.Table, ""), Set: m.Set})
			continue
		}
		ops = append(ops, &fixups.SetElementAdd{ChainRef: ref(m.Table, ""), Set: m.Set.Name, Elements: m.Set.Elements})
	}
	for _, c := range d.Chains {
		add := &fixups.ChainAdd{ChainRef: ref(c.Table, c.Name), Hook: c.Hook, Type: c.Type, Priority: c.Priority}
		if c.Hook != "" {
			add.Policy = cmp.Or(c.Policy, "accept")
		}
		ops = append(ops, add)
	}
	stale := staleTargets(&d)
	snap.Sort(stale, func(a, b intent.Extra) int { return b.Num - a.Num }) // from the end, so that numbers stay right
	for _, e := range stale {
		if op := deleteRule(in, host.ID, set.System, set.Family, e.Table, e.Chain, e.Num); op != nil {
			ops = append(ops, op)
		}
	}
	for _, m := range d.Missing {
		op := &fixups.RuleInsert{ChainRef: ref(m.Table, m.Chain), Position: m.Position}
		if set.System == snap.NFT {
			op.Text = m.Text
		} else {
			op.Args = intent.Args(m.Text)
			op.IPSets = askedSets(host, op.Args)
		}
		ops = append(ops, op)
	}
	for _, m := range d.Members {
		ops = append(ops, &fixups.IPSetMember{Where: w, Set: m.Set, Entry: snap.IPSetEntry{IP: m.Net}, In: true})
	}
	for _, j := range d.Jumps { // last: their chains are there now
		ops = append(ops, &fixups.SetElementAdd{ChainRef: ref(j.Table, ""), Set: j.Map, Elements: []snap.Element{fixups.DeviceVerdict(j.Device, "jump", j.Chain)}})
	}
	return ops
}

// askedSets are the numbers of the ipsets that a rule asks, nil when it asks none.
func askedSets(ns *snap.Netns, args []string) map[string]int {
	var out map[string]int
	for i := range ns.IPSets {
		if x := &ns.IPSets[i]; x.Index >= 0 && slices.Contains(args, x.Name) {
			if out == nil {
				out = map[string]int{}
			}
			out[x.Name] = x.Index
		}
	}
	return out
}

// missingTableOps make the tables that are gone altogether; legacy ones are
// there when they are used.
func missingTableOps(host *snap.Netns, w fixups.Where, set *intent.Set, d *intent.Drift) []fixups.Op {
	if set.System == snap.IPTablesLegacy {
		return nil
	}
	var ops []fixups.Op
	seen := map[string]bool{}
	for _, c := range d.Chains {
		if !seen[c.Table] && host.Ruleset.Table(set.System, set.Family, c.Table) == nil {
			ops = append(ops, &fixups.TableAdd{ChainRef: fixups.ChainRef{Where: w, System: set.System, Family: set.Family, Table: c.Table}})
		}
		seen[c.Table] = true
	}
	return ops
}

// deleteRule removes the rule at a position, 1 being the first; nil when it is not there.
func deleteRule(in *diag.Input, netns string, sys snap.System, fam snap.Family, table, chain string, num int) fixups.Op {
	ns := in.Netns(netns)
	if ns == nil {
		return nil
	}
	t := ns.Ruleset.Table(sys, fam, table)
	if t == nil {
		return nil
	}
	c := t.Chain(chain)
	if c == nil || num < 1 || num > len(c.Rules) {
		return nil
	}
	op := &fixups.RuleDelete{ChainRef: fixups.ChainAt(in.Snap, netns, t, chain), Rule: c.Rules[num-1]}
	text := firewall.RuleText(ns, t, c, &c.Rules[num-1])
	if op.IPTables() {
		op.Args = intent.Args(text)
	} else {
		op.Text = text
	}
	return op
}
