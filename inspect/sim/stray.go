package sim

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// strays ends an answer that a router of ours sends away: it is for the namespace
// that asked, which is ours too, but the router knows no way to it and goes by its
// default route (net/ipv4/fib_trie.c:fib_table_lookup: the last to match). Nobody out
// there has a way to an address in here. Nil when that is not so.
func (r *run) strays(n *netns, dev *snap.Link, k *skb) *fate {
	if !r.reply || r.quiet > 0 || r.asker == nil || r.asker == n || !n.n.Class.Ours() || !r.asker.n.Class.Ours() {
		return nil
	}
	rt := k.route
	if rt == nil || rt.route == nil || rt.route.Dst.Bits() != 0 || !rt.gw.IsValid() || k.Dst != r.sent.src {
		return nil
	}
	if _, ok := r.asker.n.HasAddr(k.Dst); !ok {
		return nil
	}
	return r.drop(n, dev, k, Where{
		Layer: "route", Cause: CauseNoWayBack, Ref: snap.RefNetns(n.n.ID),
		Detail: fmt.Sprintf("%s has no route to %s of %s: the answer leaves by the default route, via %s", n.n.ID, k.Dst, r.asker.n.ID, rt.gw),
	})
}
