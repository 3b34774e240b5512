package sim

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ipvs ends a packet that a virtual service takes: ip_vs_in in LOCAL_IN, behind
// the filter, and ip_vs_local_request4 in LOCAL_OUT, behind DNAT
// (net/netfilter/ipvs/ip_vs_core.c). Which server gets it depends on the
// scheduler's state, and what the packet meets then is not followed; nil lets
// it on.
func (r *run) ipvs(n *netns, dev *snap.Link, k *skb) *fate {
	for i := range n.n.IPVS {
		v := &n.n.IPVS[i]
		if v.Family != k.Family {
			continue
		}
		if v.FWMark != 0 && v.FWMark != k.Mark || v.FWMark == 0 && (v.Proto != k.Proto || v.Addr.Addr() != k.Dst || v.Addr.Port() != 0 && v.Addr.Port() != k.Dport) {
			continue
		}
		var to []string
		for _, d := range v.Dests {
			if d.Weight > 0 {
				to = append(to, d.Addr.String())
			}
		}
		what := "has no server to send it to"
		if len(to) > 0 {
			what = fmt.Sprintf("sends it to one of %s (%s)", strings.Join(to, ", "), v.Sched)
		}
		return r.unknown(n, dev, k, Where{
			Layer: "netfilter", Cause: CauseModel, Ref: snap.RefItem(n.n.ID, "ipvs", i),
			Detail: fmt.Sprintf("IPVS of %s %s, which is not followed", n.n.ID, what),
		})
	}
	return nil
}
