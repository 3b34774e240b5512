package witness

import (
	"cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// exact keeps the counters that grew by what was sent and nothing else, in a
// stable order.
func exact[K comparable](grew map[K]*snap.Counted) []snap.Counted {
	var out []snap.Counted
	for _, g := range grew {
		if len(g.Sent) == len(bursts) && g.Exact() {
			out = append(out, *g)
		}
	}
	snap.Sort(out, func(a, b snap.Counted) int {
		return cmp.Or(cmp.Compare(a.Netns, b.Netns), cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// bursts are the numbers of packets that are sent while counters are watched.
// That a counter grows by the one and then by the other for any other reason is
// no accident that happens; on a busy host counters grow by something else, and
// then say nothing.
var bursts = []int{7, 5}
