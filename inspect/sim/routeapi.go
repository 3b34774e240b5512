package sim

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RouteQuery asks for one routing decision.
type RouteQuery struct {
	Dst netip.Addr
	Src netip.Addr // zero: chosen by the route, for a local sender
	// Iif is the device that the packet came in by; "" asks as a local sender.
	Iif          string
	Oif          string // device that the sender is bound to; "" none
	Mark         uint32
	TOS          uint8
	Proto        snap.Proto // "" not given
	Sport, Dport uint16
	UID          uint32
}

// RouteAsk is a routing decision that a trace met, as a question that the
// kernel can be asked as well.
type RouteAsk struct {
	Netns string
	RouteQuery
}

// RouteWay is one nexthop.
type RouteWay struct {
	Dev     string
	Gateway netip.Addr // zero: on link
	Weight  int
}

// RouteResult is one routing decision.
type RouteResult struct {
	// Errno is what a local sender is told ("ENETUNREACH", "EACCES" …), or what
	// RTM_GETROUTE answers for an arriving packet; "" when there is a route.
	Errno  string
	Reason string // the kernel's drop reason for an arriving packet; "" none
	Cause  Cause
	Detail string // why, in words; "" when there is a route
	Type   string // "unicast", "local", "broadcast" …
	Table  uint32
	Rule   snap.Ref // of the policy rule; "" for the three that are always there
	Route  snap.Ref
	Text   string // the route as `ip route` prints it
	Src    netip.Addr
	Ways   []RouteWay // all that the flow's hash may take; one, mostly
	MTU    int        // bytes, of the route or its device
	// Unknown says why it can't be told, "" when it can.
	Unknown string
}

// Route is the routing decision of a namespace.
func (w *World) Route(netns string, q RouteQuery) RouteResult {
	n := w.ns[netns]
	if n == nil {
		return RouteResult{Unknown: "there is no namespace " + netns + " in this snapshot"}
	}
	if !q.Dst.IsValid() {
		return RouteResult{Unknown: "no destination"}
	}
	l := lookup{dst: q.Dst.Unmap(), src: q.Src, mark: q.Mark, tos: q.TOS, proto: q.Proto.Number(), sport: q.Sport, dport: q.Dport, uid: q.UID}
	if o := n.byName[q.Oif]; o != nil {
		l.oif = o.Index
	} else if q.Oif != "" {
		return RouteResult{Errno: "ENODEV", Cause: CauseNoRoute, Detail: netns + " has no device " + q.Oif}
	}
	first := func(ways []way, _ string) way { return ways[0] }
	var rt *routed
	if q.Iif == "" {
		rt = n.routeOut(&routed{}, l, false, first)
	} else {
		dev := n.byName[q.Iif]
		if dev == nil {
			return RouteResult{Unknown: netns + " has no device " + q.Iif}
		}
		if !q.Src.IsValid() {
			return RouteResult{Unknown: "an arriving packet needs a source"}
		}
		rt = n.routeIn(&routed{}, l, dev, first)
	}
	return n.result(rt)
}

func (n *netns) result(rt *routed) RouteResult {
	res := RouteResult{
		Errno: rt.errno, Reason: rt.reason, Cause: rt.cause, Detail: rt.detail, Type: rt.typ, Table: rt.table,
		Rule: rt.rule, Route: rt.ref, Text: rt.text, Src: rt.src,
	}
	if rt.cause == CauseUnread {
		res.Unknown = rt.detail
	}
	if n.undecided != "" {
		res.Unknown = n.undecided
	}
	if rt.errno != "" {
		return res
	}
	res.MTU = rt.mtuOf()
	for _, w := range rt.ways {
		res.Ways = append(res.Ways, RouteWay{n.devName(w.oif), w.gw, w.weight})
	}
	return res
}
