package mutate

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// routeText is a route as ip takes it.
func routeText(ns *snap.Netns, r *snap.Route) string {
	var b strings.Builder
	if r.Type != "unicast" {
		b.WriteString(r.Type + " ")
	}
	b.WriteString(r.Dst.String())
	if r.Gateway.IsValid() {
		fmt.Fprintf(&b, " via %s", r.Gateway)
	}
	if l := ns.LinkAt(r.Oif); l != nil && r.Type == "unicast" {
		b.WriteString(" dev " + l.Name)
	}
	if r.PrefSrc.IsValid() {
		fmt.Fprintf(&b, " src %s", r.PrefSrc)
	}
	fmt.Fprintf(&b, " table %d", r.Table)
	if r.Metric != 0 {
		fmt.Fprintf(&b, " metric %d", r.Metric)
	}
	fmt.Fprintf(&b, " proto %s scope %s", r.Protocol, r.Scope)
	return b.String()
}

// who names a namespace in a finding's words: none for the host.
func (g *gen) who(ns *snap.Netns) []string {
	for _, t := range g.on {
		if t.ns == ns {
			return []string{t.c.Name}
		}
	}
	return nil
}

// side is the host, or a container.
func (g *gen) side() (*snap.Netns, target) {
	t := g.target()
	if g.chance(50) {
		return g.host, t
	}
	return t.ns, t
}

func routeGone(g *gen) (Mutation, bool) {
	ns, _ := g.side()
	var list []*snap.Route
	for i := range ns.Routes {
		r := &ns.Routes[i]
		if r.Family == snap.IPv4 && (r.Type == "unicast" || r.Type == "local" && g.chance(25)) && !r.Dst.Addr().IsLoopback() {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return Mutation{}, false
	}
	r := pick(g, list...)
	dev := ns.LinkAt(r.Oif)
	if dev == nil {
		return Mutation{}, false
	}
	text := routeText(ns, r)
	if r.Type == "local" {
		text = strings.Replace(text, "local "+r.Dst.String(), "local "+r.Dst.String()+" dev "+dev.Name, 1)
	}
	what := []string{r.Dst.String()}
	if r.Dst.Bits() == 0 {
		what = []string{"default"}
	}
	if r.Dst.IsSingleIP() {
		what = []string{r.Dst.Addr().String(), "route"}
	}
	return Mutation{Kind: "route deleted", Netns: ns.ID, Do: "ip route del " + text, Undo: "ip route add " + text, Place: words(append(g.who(ns), what...))}, true
}

// routeAdded adds a route that catches something: the world, a neighbour, a
// network.
func routeAdded(g *gen) (Mutation, bool) {
	ns, t := g.side()
	o := g.other(t)
	dst := pick(g, "198.51.100.0/24", "198.51.100.20", "198.51.100.53", "128.0.0.0/1", o.ep.IPv4.Addr().String(), netip.PrefixFrom(o.ep.IPv4.Addr(), 29).Masked().String(), t.ep.IPv4.Masked().String(), "203.0.113.0/24")
	dev := t.eth.Name
	if ns == g.host {
		dev = t.bridge.Name
		if up := g.uplink(); up != nil && g.chance(50) {
			dev = up.Name
		}
	}
	table := ""
	if g.chance(15) {
		table = " table 77" // nobody looks there
	}
	nobody := t.ep.IPv4.Masked().Addr()
	for range 200 {
		nobody = nobody.Next()
	}
	route := pick(g, "blackhole %s", "unreachable %s", "prohibit %s", "%s dev "+dev, fmt.Sprintf("%%s via %s dev %s onlink", nobody, dev), "throw %s")
	route = fmt.Sprintf(route, dst) + table
	if g.chance(20) {
		route += " metric 50"
	}
	return Mutation{
		Kind: "route added", Netns: ns.ID, Do: "ip route add " + route, Undo: "ip route del " + route,
		Place: words(append(g.who(ns), strings.TrimSuffix(strings.TrimSuffix(dst, "/32"), "/0"))),
	}, true
}

func policyRule(g *gen) (Mutation, bool) {
	ns, t := g.side()
	match := pick(g, "from "+t.ep.IPv4.Masked().String(), "to 198.51.100.0/24", "from "+t.ep.IPv4.Addr().String(), "from all", "to "+t.ep.IPv4.Masked().String(), "ipproto udp dport 53", "fwmark 0x40")
	if ns == g.host && g.chance(30) {
		match = "iif " + t.bridge.Name
	}
	action := pick(g, "prohibit", "blackhole", "unreachable", "table 77", "lookup main suppress_prefixlength 0")
	prio := pick(g, 50, 99, 1000, 33000)
	do, undo := fmt.Sprintf("ip rule add pref %d %s %s", prio, match, action), fmt.Sprintf("ip rule del pref %d %s %s", prio, match, action)
	if action == "table 77" {
		dev := t.eth.Name
		if ns == g.host {
			dev = t.bridge.Name
		}
		if extra := pick(g, "", "blackhole default", "default dev "+dev); extra != "" {
			do += "\nip route add " + extra + " table 77"
			undo += "\nip route del " + extra + " table 77"
		}
	}
	if g.chance(12) {
		do, undo = "ip rule del pref 32766", "ip rule add pref 32766 lookup main"
		return Mutation{Kind: "policy rule deleted", Netns: ns.ID, Do: do, Undo: undo, Place: words(append(g.who(ns), "main"))}, true
	}
	return Mutation{Kind: "policy rule added", Netns: ns.ID, Do: do, Undo: undo, Place: words(append(g.who(ns), fmt.Sprint(prio)), append(g.who(ns), "table 77"))}, true
}

// owned is an address of a device: of a container, a bridge or the uplink.
func (g *gen) owned() (*snap.Netns, *snap.Link, netip.Prefix, bool) {
	ns, l, _ := g.device(false)
	for _, a := range ns.AddrsOf(l.Index) {
		if a.Prefix.Addr().Is4() {
			return ns, l, a.Prefix, true
		}
	}
	return nil, nil, netip.Prefix{}, false
}

func addrGone(g *gen) (Mutation, bool) {
	ns, l, p, ok := g.owned()
	if !ok {
		return Mutation{}, false
	}
	return Mutation{
		Kind: "address deleted", Netns: ns.ID, Do: fmt.Sprintf("ip addr del %s dev %s", p, l.Name),
		Undo: fmt.Sprintf("ip addr add %s dev %s\n", p, l.Name) + restored(ns, l), Place: words([]string{p.Addr().String(), l.Name}, append(g.who(ns), p.Addr().String()), []string{l.Name, "no IPv4 address"}),
	}, true
}

func addrChanged(g *gen) (Mutation, bool) {
	ns, l, p, ok := g.owned()
	if !ok {
		return Mutation{}, false
	}
	n := netip.PrefixFrom(p.Addr(), pick(g, 32, 30, 28, 16, 8))
	if g.chance(40) {
		a := p.Addr()
		for range 3 + g.r.IntN(40) {
			a = a.Next()
		}
		n = netip.PrefixFrom(a, p.Bits())
	}
	return Mutation{
		Kind: "address changed", Netns: ns.ID, Do: fmt.Sprintf("ip addr del %s dev %s\nip addr add %s dev %s\n", p, l.Name, n, l.Name) + gateways(ns, l),
		Undo:  fmt.Sprintf("ip addr del %s dev %s\nip addr add %s dev %s\n", n, l.Name, p, l.Name) + restored(ns, l),
		Place: words([]string{p.Addr().String(), l.Name}, append(g.who(ns), p.Addr().String()), []string{n.String(), l.Name}),
	}, true
}

// gateways tries to put routes by a gateway back, as a person would who changes
// an address.
func gateways(ns *snap.Netns, l *snap.Link) string {
	var b strings.Builder
	for i := range ns.Routes {
		if r := &ns.Routes[i]; r.Oif == l.Index && r.Family == snap.IPv4 && r.Gateway.IsValid() {
			fmt.Fprintf(&b, "ip route replace %s via %s dev %s || true\n", r.Dst, r.Gateway, l.Name)
		}
	}
	return b.String()
}

// addrAdded gives a device an address that somebody else has, or a harmless one.
func addrAdded(g *gen) (Mutation, bool) {
	ns, l, _ := g.device(false)
	t := g.target()
	p := pick(g, t.ep.IPv4, netip.PrefixFrom(t.ep.IPv4.Addr(), 32), netip.PrefixFrom(t.ep.Gateway4, t.ep.IPv4.Bits()), netip.MustParsePrefix("198.51.100.53/32"), netip.MustParsePrefix("198.51.100.9/24"), netip.MustParsePrefix("10.99.1.1/24"))
	if a, _, q, ok := g.owned(); !p.IsValid() || ok && a == ns && q == p {
		return Mutation{}, false
	}
	for _, a := range ns.AddrsOf(l.Index) {
		if a.Prefix.Addr() == p.Addr() {
			return Mutation{}, false
		}
	}
	return Mutation{
		Kind: "address added", Netns: ns.ID, Do: fmt.Sprintf("ip addr add %s dev %s", p, l.Name),
		Undo: fmt.Sprintf("ip addr del %s dev %s", p, l.Name), Place: words([]string{p.Addr().String()}, []string{p.Masked().String()}),
	}, true
}
