package sim

import "slices"

// choice looks for the best route of a prefix (find_match, net/ipv6/route.c).
type choice struct {
	f     *fib
	q     *lookup
	route *fibRoute
	best  int // score of route's nexthop
}

// choose6 is the IPv6 route that a look-up takes of those of one prefix, by metric, with
// its ways; nil when none will do (find_rr_leaf). Behind the first metric all others count
// as one. Which of several equals the kernel took last it forgets where
// CONFIG_IPV6_ROUTER_PREF is set, as everywhere.
func (f *fib) choose6(list []*fibRoute, q *lookup) (*fibRoute, []way) {
	c := choice{f: f, q: q, best: -1}
	n := slices.IndexFunc(list, func(r *fibRoute) bool { return r.Metric != list[0].Metric })
	if n < 0 {
		n = len(list)
	}
	c.among(list[:n])
	if c.route == nil {
		c.among(list[n:])
	}
	if c.route == nil || c.route.Type == "throw" || typeErrno(c.route.Type) != "" {
		return c.route, nil
	}
	return c.route, c.ways(list)
}

// among is __find_rr_leaf.
func (c *choice) among(list []*fibRoute) {
	for _, r := range list {
		if r.Src.IsValid() && r.Src.Bits() > 0 && (!c.q.src.IsValid() || !r.Src.Contains(c.q.src)) {
			continue
		}
		if r.NHID != 0 && typeErrno(r.Type) != "" {
			c.route = r // a nexthop object that refuses is not weighed
			return
		}
		for _, h := range r.hops {
			m := c.score(r, h)
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
func (c *choice) score(r *fibRoute, h nexthop) int {
	m := 0
	if c.q.near == 0 || h.oif == c.q.near {
		m = 2
	}
	if h.linkdown && !c.q.linkdownOK || m == 0 && c.q.strict {
		return -3
	}
	if c.q.alive && h.gw.IsValid() && slices.ContainsFunc(c.f.failed, func(w way) bool { return w.oif == h.oif && w.gw == h.gw }) {
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
// message (fib6_select_path, rt6_qualify_for_ecmp).
func (c *choice) ways(list []*fibRoute) []way {
	var out []way
	add := func(r *fibRoute) {
		for _, h := range r.hops {
			if c.score(r, h) >= 0 || r.NHID != 0 {
				out = append(out, h.way)
			}
		}
	}
	r := c.route
	add(r)
	if !r.Gateway.IsValid() || len(r.Nexthops) > 0 || r.NHID != 0 || r.Protocol == "ra" {
		return out
	}
	for _, o := range list {
		if o != r && o.Metric == r.Metric && o.Gateway.IsValid() && o.NHID == 0 && o.Type == r.Type && o.Protocol != "ra" {
			add(o)
		}
	}
	return out
}
