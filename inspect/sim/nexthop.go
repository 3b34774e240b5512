package sim

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nexthop is one nexthop of a route, and whether it counts as down.
type nexthop struct {
	way
	linkdown bool // its link has no carrier, and that is to be heeded
}

// wayName is a way by what tells it from others: its gateway, or its device.
func (n *netns) wayName(w way) string {
	if w.gw.IsValid() {
		return w.gw.String()
	}
	return n.devName(w.oif)
}

// ready works out a route's nexthops, once for all look-ups.
func (f *fib) ready(r *fibRoute) {
	add := func(w way, flags []string) {
		dev := f.n.links[w.oif]
		if f.ownGateway(w) {
			w.gw = netip.Addr{}
		}
		if slices.Contains(flags, "dead") || r.Type != "local" && dev != nil && !dev.Up {
			return
		}
		r.hops = append(r.hops, nexthop{w, slices.Contains(flags, "linkdown") && dev != nil && f.ignoreLinkdown(dev)})
	}
	gw := r.Gateway
	if !gw.IsValid() {
		gw = r.Via
	}
	switch {
	case len(r.Nexthops) > 0:
		for _, h := range r.Nexthops {
			add(way{h.Oif, h.Gateway, max(h.Weight, 1)}, h.Flags)
		}
	case r.Oif == 0 && r.NHID != 0:
		for _, h := range f.nexthopObject(r.NHID, 1, 0) {
			add(h, nil)
		}
	default:
		add(way{r.Oif, gw, 1}, r.Flags)
	}
	for _, h := range r.hops {
		if h.linkdown {
			r.ways = nil
			return
		}
		r.ways = append(r.ways, h.way)
	}
	r.ways = slices.Clip(r.ways)
}

// ownGateway says whether a nexthop's gateway is an address of its own device: an
// IPv4 route then takes its scope from the local one, "host", and leads to what
// lies on the link (net/ipv4/fib_semantics.c:fib_check_nh_v4_gw, route.c:
// rt_set_nexthop asks for scope link). Cilium's routes are of that kind. IPv6 takes
// no such route. A route that is older than the address keeps its scope and goes on by
// the gateway; no dump says so, but the kernel's answer to a question for a way does.
func (f *fib) ownGateway(w way) bool {
	if slices.ContainsFunc(f.n.n.RouteAnswers, func(a snap.RouteAnswer) bool { return a.OutIf == w.oif && a.Gateway == w.gw }) {
		return false
	}
	return w.gw.Is4() && slices.ContainsFunc(f.n.n.Addrs, func(a snap.Addr) bool { return a.Index == w.oif && a.Prefix.Addr() == w.gw })
}

// ways are the nexthops of an IPv4 route that can be used (fib_lookup_good_nhc).
// What it gives must not be written to.
func (f *fib) ways(r *fibRoute, q *lookup) []way {
	if q.oif == 0 && r.ways != nil {
		return r.ways
	}
	var out []way
	for _, h := range r.hops {
		if !q.linkdownOK && h.linkdown {
			continue
		}
		if q.oif != 0 && h.oif != q.oif && !(q.l3mdev == q.oif && r.Type != "local") {
			continue
		}
		out = append(out, h.way)
	}
	return out
}

func (f *fib) ignoreLinkdown(dev *snap.Link) bool {
	return f.n.confAll(f.fam, "ignore_routes_with_linkdown") != 0 || f.n.conf(f.fam, dev, "ignore_routes_with_linkdown") != 0
}

// nexthopObject resolves `ip nexthop` objects, groups one level deep as the
// kernel allows.
func (f *fib) nexthopObject(id uint32, weight, depth int) []way {
	for i := range f.n.n.Nexthops {
		o := &f.n.n.Nexthops[i]
		switch {
		case o.ID != id:
			continue
		case len(o.Group) == 0 && !o.Blackhole:
			return []way{{o.Oif, o.Gateway, weight}}
		case depth > 1:
			return nil
		}
		var out []way
		for k, g := range o.Group {
			w := 1
			if k < len(o.Weights) {
				w = max(o.Weights[k], 1)
			}
			out = append(out, f.nexthopObject(g, w, depth+1)...)
		}
		return out
	}
	return nil
}
