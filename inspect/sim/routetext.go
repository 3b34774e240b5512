package sim

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// routeText is a route as `ip route` prints it, shortened to what decides.
func (n *netns) routeText(r *snap.Route) string {
	var b strings.Builder
	if r.Type != "unicast" && r.Type != "" {
		b.WriteString(r.Type + " ")
	}
	switch {
	case r.Dst.Bits() == 0:
		b.WriteString("default")
	case r.Dst.IsSingleIP():
		b.WriteString(r.Dst.Addr().String())
	default:
		b.WriteString(r.Dst.String())
	}
	if r.Gateway.IsValid() {
		b.WriteString(" via " + r.Gateway.String())
	}
	if l := n.links[r.Oif]; l != nil {
		b.WriteString(" dev " + l.Name)
	}
	for _, h := range r.Nexthops {
		b.WriteString(" nexthop")
		if h.Gateway.IsValid() {
			b.WriteString(" via " + h.Gateway.String())
		}
		if l := n.links[h.Oif]; l != nil {
			b.WriteString(" dev " + l.Name)
		}
	}
	switch r.Table {
	case snap.TableMain, snap.TableLocal, 0:
	default:
		fmt.Fprintf(&b, " table %d", r.Table)
	}
	if r.Metric != 0 {
		fmt.Fprintf(&b, " metric %d", r.Metric)
	}
	return b.String()
}

// ruleText is a policy rule as `ip rule` prints it.
func ruleText(r *snap.PolicyRule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule %d:", r.Priority)
	if r.Invert {
		b.WriteString(" not")
	}
	if r.Src.IsValid() {
		b.WriteString(" from " + r.Src.String())
	} else {
		b.WriteString(" from all")
	}
	if r.Dst.IsValid() {
		b.WriteString(" to " + r.Dst.String())
	}
	if r.Mask != 0 {
		fmt.Fprintf(&b, " fwmark %#x/%#x", r.Mark, r.Mask)
	}
	if r.IIF != "" {
		b.WriteString(" iif " + r.IIF)
	}
	if r.OIF != "" {
		b.WriteString(" oif " + r.OIF)
	}
	if r.IPProto != 0 {
		fmt.Fprintf(&b, " ipproto %d", r.IPProto)
	}
	if r.Sport[1] != 0 {
		fmt.Fprintf(&b, " sport %d-%d", r.Sport[0], r.Sport[1])
	}
	if r.Dport[1] != 0 {
		fmt.Fprintf(&b, " dport %d-%d", r.Dport[0], r.Dport[1])
	}
	switch {
	case r.L3mdev:
		b.WriteString(" lookup [l3mdev-table]")
	case r.Action == "table":
		fmt.Fprintf(&b, " lookup %d", r.Table)
	case r.Action == "goto":
		fmt.Fprintf(&b, " goto %d", r.Goto)
	default:
		b.WriteString(" " + r.Action)
	}
	return b.String()
}
