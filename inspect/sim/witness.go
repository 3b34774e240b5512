package sim

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// note keeps a routing decision as a question for the kernel; not one that it
// can't be asked in full.
func (r *run) note(n *netns, dev *snap.Link, q *lookup) {
	if r.quiet > 0 || r.circling || q.uid != 0 || q.tos != 0 || q.dst.IsUnspecified() || q.dst.IsMulticast() {
		return
	}
	a := RouteAsk{n.n.ID, RouteQuery{Dst: q.dst, Src: q.src, Mark: q.mark, Proto: protoName(q.proto), Sport: q.sport, Dport: q.dport}}
	if dev != nil {
		a.Iif = dev.Name
	}
	if l := n.links[q.oif]; l != nil {
		a.Oif = l.Name
	}
	r.asks = append(r.asks, a)
}

// Asked is the question that an answer was given to.
func Asked(n *snap.Netns, a snap.RouteAnswer) RouteQuery {
	q := RouteQuery{Dst: a.Dst, Src: a.Src, Mark: a.Mark, Proto: protoName(a.IPProto), Sport: a.Sport, Dport: a.Dport}
	if a.IPProto == 0 && a.Dst.Is4() {
		q.Proto = snap.UDP // what the kernel takes nothing for (inet_rtm_getroute)
	}
	if l := n.LinkAt(a.Iif); l != nil {
		q.Iif = l.Name
	}
	if l := n.LinkAt(a.Oif); l != nil {
		q.Oif = l.Name
	}
	return q
}

// Contradicts says in what the kernel's own answer to the same question
// (RTM_GETROUTE) differs from this decision; "" in nothing, or where the two
// can't be compared. n is the namespace that was asked.
func (r RouteResult) Contradicts(n *snap.Netns, k snap.RouteAnswer) string {
	if r.Unknown != "" {
		return ""
	}
	if r.Errno != "" || k.Errno != "" {
		// A sender without an address is told so before it is told of the route.
		if r.Errno == k.Errno || k.Errno == "ENETUNREACH" && (r.Cause == CauseIPv6Off || r.Cause == CauseSelfSource) {
			return ""
		}
		if k.Iif != 0 && k.Errno == "EXDEV" && r.Errno == "EINVAL" {
			return "" // rp_filter, by kernels before Linux 6.2
		}
		return fmt.Sprintf("the kernel answers %s, predicted was %s", orRoute(k.Errno, k.Type), orRoute(r.Errno, r.Type))
	}
	if k.Type != r.Type {
		return fmt.Sprintf("the kernel's route is %s, predicted was %s", k.Type, r.Type)
	}
	if r.Type != "unicast" {
		return "" // its device is lo for what comes in, and the address's own otherwise
	}
	dev := fmt.Sprintf("device %d", k.OutIf)
	if l := n.LinkAt(k.OutIf); l != nil {
		dev = l.Name
	}
	for _, w := range r.Ways {
		if w.Dev != dev || w.Gateway != k.Gateway {
			continue
		}
		if k.Dst.Is6() && k.Src.IsValid() {
			return "" // the kernel tells whom it would choose, had it not been told (net/ipv6/route.c: rt6_fill_node)
		}
		if len(r.Ways) == 1 && k.PrefSrc.IsValid() && r.Src.IsValid() && k.PrefSrc != r.Src {
			return fmt.Sprintf("the kernel sends from %s, predicted was %s", k.PrefSrc, r.Src)
		}
		return ""
	}
	via := ""
	if k.Gateway.IsValid() {
		via = " via " + k.Gateway.String()
	}
	return fmt.Sprintf("the kernel sends it by %s%s, predicted was %s", dev, via, r.Text)
}

func orRoute(errno, typ string) string {
	if errno != "" {
		return errno
	}
	return "a route (" + typ + ")"
}
