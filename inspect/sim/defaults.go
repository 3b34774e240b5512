package sim

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Several IPv4 default routes of one metric, each with a gateway of its own, are no
// order for a local sender: the kernel goes by what it knows of the gateways, and by which
// of them it took last (fib_select_default, net/ipv4/fib_semantics.c). What is forwarded
// takes the first. DHCP on two devices makes such routes, and so does CNI for a container
// on two networks.

// living are the default routes that may be taken in place of r, which a look-up of a
// local sender has found in list; nil when r is taken for certain. Which one was taken
// last is in no dump.
func (f *fib) living(r *fibRoute, list []*fibRoute, q *lookup) []*fibRoute {
	if f.fam != snap.IPv4 || !q.sends || q.oif != 0 || len(list) < 2 || r.Type != "unicast" || len(r.hops) != 1 {
		return nil
	}
	var rivals []*fibRoute
	var states []string
	metric, tos := r.Metric, -1
	for _, o := range list {
		switch {
		case o.TOS != 0 && o.TOS&0x1c != q.tos&0x1c:
			continue
		case o.Metric > metric && int(o.TOS) == tos && tos == 0:
			return f.outlive(rivals, states)
		case o.Metric > metric && int(o.TOS) == tos, len(o.hops) == 0:
			continue
		}
		metric, tos = o.Metric, int(o.TOS)
		if o.Type != "unicast" || o.Scope != r.Scope || !o.hops[0].gw.Is4() {
			continue
		}
		if len(rivals) == 0 && o != r {
			return nil
		}
		rivals, states = append(rivals, o), append(states, f.gatewayState(o.hops[0].way))
	}
	return f.outlive(rivals, states)
}

// gatewayState is the state of a gateway's neighbour entry, "" when there is none.
func (f *fib) gatewayState(w way) string {
	i := slices.IndexFunc(f.n.n.Neighs, func(e snap.Neigh) bool { return e.Index == w.oif && e.IP == w.gw && !e.Proxy })
	if i < 0 {
		return ""
	}
	return f.n.n.Neighs[i].State
}

// outlive are those of the routes that are taken, whichever was taken last; nil when it
// is the first for certain.
func (f *fib) outlive(rivals []*fibRoute, states []string) []*fibRoute {
	if len(rivals) < 2 {
		return nil
	}
	var out []*fibRoute
	for last := -1; last < len(rivals); last++ {
		if r := rivals[survivor(states, last)]; !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	if len(out) == 1 && out[0] == rivals[0] {
		return nil
	}
	return out
}

// survivor is which of several default routes is taken, by the states of their gateways'
// entries, when the one at last (-1: none) was taken last (fib_detect_death).
func survivor(states []string, last int) int {
	resort := -1
	for i, s := range states {
		valid := slices.Contains([]string{"permanent", "noarp", "probe", "stale", "delay"}, s)
		if s == "" || s == "reachable" || valid && i != last {
			return i
		}
		if valid || resort < 0 && i > last && s != "incomplete" {
			resort = i
		}
	}
	return max(resort, 0)
}
