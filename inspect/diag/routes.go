package diag

import "github.com/netdoctor/netdoctor/inspect/sim"

// maxRouteAsks bounds the questions of one run; 20 µs each.
const maxRouteAsks = 2048

// RouteQuestions are the routing decisions that the flows hang on, each once:
// the kernel can be asked for them, too.
func (in *Input) RouteQuestions() []sim.RouteAsk {
	var out []sim.RouteAsk
	seen := map[sim.RouteAsk]bool{}
	add := func(t *sim.Trace) {
		for _, a := range t.Routes {
			if !seen[a] && len(out) < maxRouteAsks {
				seen[a] = true
				out = append(out, a)
			}
		}
	}
	for i := range in.Flows {
		for t := in.Flows[i].Trace; t != nil; t = t.Proxy {
			add(t)
		}
	}
	return out
}
