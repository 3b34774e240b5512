package sim

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

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
