package sim

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nearer is another route of the same metric that leads out of the device that
// the look-up prefers; -1 none.
func (f *fib) nearer(t *table, r *snap.Route, rest []int, q *lookup) int {
	for _, i := range rest {
		o := t.at(f.n, i)
		if o.Metric != r.Metric {
			break
		}
		if typeErrno(o.Type) != "" || o.Type == "throw" {
			continue
		}
		if ways := f.ways(o, q); len(ways) > 0 && ways[0].oif == q.near {
			return i
		}
	}
	return -1
}

// siblings are the other ways of an IPv6 route that was dumped one way a
// message: same prefix, same metric, with a gateway (rt6_qualify_for_ecmp).
func (f *fib) siblings(t *table, r *snap.Route, rest []int, q *lookup) []way {
	var out []way
	if !r.Gateway.IsValid() || len(r.Nexthops) > 0 {
		return nil
	}
	for _, i := range rest {
		o := t.at(f.n, i)
		if o.Metric == r.Metric && o.Gateway.IsValid() && o.Type == r.Type && o.Protocol != "ra" && r.Protocol != "ra" {
			out = append(out, f.ways(o, q)...)
		}
	}
	return out
}

// ways are the nexthops of a route that can be used (fib_lookup_good_nhc).
func (f *fib) ways(r *snap.Route, q *lookup) []way {
	type hop struct {
		way
		flags []string
	}
	var all []hop
	gw := r.Gateway
	if !gw.IsValid() {
		gw = r.Via
	}
	switch {
	case len(r.Nexthops) > 0:
		for _, h := range r.Nexthops {
			all = append(all, hop{way{h.Oif, h.Gateway, max(h.Weight, 1)}, h.Flags})
		}
	case r.Oif == 0 && r.NHID != 0:
		for _, h := range f.nexthopObject(r.NHID, 1, 0) {
			all = append(all, hop{h, nil})
		}
	default:
		all = append(all, hop{way{r.Oif, gw, 1}, r.Flags})
	}
	var out []way
	for _, h := range all {
		dev := f.n.links[h.oif]
		if slices.Contains(h.flags, "dead") || r.Type != "local" && dev != nil && !dev.Up {
			continue
		}
		if !q.linkdownOK && slices.Contains(h.flags, "linkdown") && dev != nil && f.ignoreLinkdown(dev) {
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
