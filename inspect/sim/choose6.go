package sim

import "slices"

// choice looks for the best route of a prefix (find_match, net/ipv6/route.c).
type choice struct {
	f     *fib
	route *fibRoute
	best  int // score of route's nexthop
}

// choose6 is the IPv6 route that a look-up takes of those of one prefix, by metric, with
// its ways; nil when none will do (find_rr_leaf). Behind the first metric all others count
// as one. A kernel without CONFIG_IPV6_ROUTER_PREF, which distributions set, also takes
// equals in turn.
func (f *fib) choose6(list []*fibRoute, q *lookup) (*fibRoute, []way) {
	c := choice{f: f, best: -1}
	n := slices.IndexFunc(list, func(r *fibRoute) bool { return r.Metric != list[0].Metric })
	if n < 0 {
		n = len(list)
	}
	c.among(list[:n], q)
	if c.route == nil {
		c.among(list[n:], q)
	}
	if c.route == nil || c.route.Type == "throw" || typeErrno(c.route.Type) != "" {
		return c.route, nil
	}
	return c.route, c.ways(list, q)
}

// among is __find_rr_leaf.
func (c *choice) among(list []*fibRoute, q *lookup) {
	for _, r := range list {
		if r.Src.IsValid() && r.Src.Bits() > 0 && (!q.src.IsValid() || !r.Src.Contains(q.src)) {
			continue
		}
		if r.NHID != 0 && typeErrno(r.Type) != "" {
			c.route = r // a nexthop object that refuses is not weighed
			return
		}
		for _, h := range r.hops {
			m := c.score(r, h, q)
			if m <= c.best {
				continue
			}
			c.route, c.best = r, m
			if r.NHID != 0 {
				break // the first that will do (nexthop_for_each_fib6_nh)
			}
		}
	}
}

// score is rt6_score_route: below 0 the nexthop is none.
func (c *choice) score(r *fibRoute, h nexthop, q *lookup) int {
	m := 0
	if q.near == 0 || h.oif == q.near {
		m = 2
	}
	if h.linkdown && !q.linkdownOK || m == 0 && q.strict {
		return -3
	}
	if q.alive && h.gw.IsValid() && slices.ContainsFunc(c.f.failed, func(w way) bool { return w.oif == h.oif && w.gw == h.gw }) {
		return -2 // rt6_check_neigh
	}
	switch r.Pref { // RFC 4191, section 2.1
	case "high":
		return m | 3<<2
	case "low":
		return m | 1<<2
	}
	return m | 2<<2
}

// ways are the nexthops of the route that was chosen, and of those that were dumped one a
// message (fib6_select_path, rt6_qualify_for_ecmp). What it gives must not be written to.
func (c *choice) ways(list []*fibRoute, q *lookup) []way {
	r := c.route
	fellow := func(o *fibRoute) bool {
		return o != r && o.Metric == r.Metric && o.Gateway.IsValid() && o.NHID == 0 && o.Type == r.Type && o.Protocol != "ra"
	}
	alone := !r.Gateway.IsValid() || len(r.Nexthops) > 0 || r.NHID != 0 || r.Protocol == "ra" || !slices.ContainsFunc(list, fellow)
	if alone && len(r.ways) == 1 {
		return r.ways
	}
	var out []way
	for _, o := range list {
		if o != r && (alone || !fellow(o)) {
			continue
		}
		for _, h := range o.hops {
			if c.score(o, h, q) >= 0 || o.NHID != 0 {
				out = append(out, h.way)
			}
		}
	}
	return out
}
