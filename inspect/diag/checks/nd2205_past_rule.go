package checks

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxPast bounds how many flows are followed again for pastRule.
const maxPast = 16

// pastRule lets packets to networks behind bridges be looked up in the main table, where
// their routes are, before a rule of somebody's (a VPN's, one for each uplink) sends
// them to a table that does not know them or has another way to them: that rule stays
// for all else. nil where that would not mend what is asked for first.
func pastRule(in *diag.Input, f *diag.Finding, ns *snap.Netns, x *snap.PolicyRule) []fixups.Op {
	if x.Priority < 2 {
		return nil
	}
	var ops []fixups.Op
	for k, i := range f.Covers.Traces[:min(len(f.Covers.Traces), maxPast)] {
		if len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		healed := false
		for _, subnet := range subnetsOf(in, ns, append(addrsOf(&in.Flows[i]), ledAddr(in.Flows[i].Trace)), x.Family) {
			r := snap.PolicyRule{Family: x.Family, Priority: x.Priority - 1, Dst: subnet, Action: "table", Table: snap.TableMain, SuppressPrefixLen: -1, SuppressIfgroup: -1}
			more := append(ops[:len(ops):len(ops)], &fixups.PolicyRuleAdd{Where: at(in, ns.ID), Rule: r})
			if healed = heals(in, i, more); healed {
				ops = more
				break
			}
		}
		if k == 0 && !healed {
			return nil
		}
	}
	return ops
}

// subnetsOf are the subnets behind bridges that hold one of some addresses: of container
// networks, and of bridges that no engine made, where the main table has them.
func subnetsOf(in *diag.Input, ns *snap.Netns, addrs []netip.Addr, fam snap.Family) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range addrs {
		if a.Is4() != (fam == snap.IPv4) {
			continue
		}
		if n := in.Graph.NetworkOfAddr(a); n != nil && n.Bridge != "" {
			for _, p := range n.Pools {
				if p.Subnet.IsValid() && p.Subnet.Contains(a) {
					out = append(out, p.Subnet)
				}
			}
			continue
		}
		for k := range ns.Routes {
			r := &ns.Routes[k]
			if l := ns.LinkAt(r.Oif); r.Table == snap.TableMain && r.Protocol == "kernel" && r.Type == "unicast" && r.Dst.Contains(a) && l != nil && l.Kind == "bridge" {
				out = append(out, r.Dst)
			}
		}
	}
	return out
}
