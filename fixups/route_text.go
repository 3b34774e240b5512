package fixups

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// routeWords says a route in ip-route(8)'s words, with what that program would
// not assume by itself (protocol boot, table main, scope by type).
func routeWords(r snap.Route, devs []string) []string {
	var out []string
	if r.Type != "" && r.Type != "unicast" && r.NHID == 0 { // what an object throws away is its affair
		out = append(out, r.Type)
	}
	dst := r.Dst.String()
	switch {
	case r.Dst.Bits() == 0 && r.Type != "blackhole":
		dst = "default"
	case r.Dst.IsSingleIP():
		dst = r.Dst.Addr().String()
	}
	out = append(out, dst)
	if r.TOS != 0 {
		out = append(out, "tos", fmt.Sprintf("0x%02x", r.TOS))
	}
	dev := func(i int) string {
		if i < len(devs) {
			return devs[i]
		}
		return ""
	}
	if r.NHID != 0 {
		out = append(out, "nhid", strconv.FormatUint(uint64(r.NHID), 10))
		r.Nexthops = nil
	} else if len(r.Nexthops) == 0 {
		if r.Gateway.IsValid() {
			out = append(out, "via", r.Gateway.String())
		} else if r.Via.IsValid() {
			out = append(out, "via", "inet6", r.Via.String())
		}
		if dev(0) != "" {
			out = append(out, "dev", dev(0))
		}
	}
	if r.Table != 0 && r.Table != snap.TableMain && !(r.Table == snap.TableLocal && r.Type == "local") {
		out = append(out, "table", tableWord(r.Table))
	}
	if r.Protocol != "" && r.Protocol != "boot" {
		out = append(out, "proto", r.Protocol)
	}
	if r.Scope != "" && r.Scope != defaultScope(r) && r.Family == snap.IPv4 {
		out = append(out, "scope", r.Scope)
	}
	if r.PrefSrc.IsValid() {
		out = append(out, "src", r.PrefSrc.String())
	}
	if r.Metric != 0 {
		out = append(out, "metric", strconv.FormatUint(uint64(r.Metric), 10))
	}
	if r.Has("onlink") {
		out = append(out, "onlink")
	}
	out = append(out, metricWords(r)...)
	for i, n := range r.Nexthops {
		out = append(out, "nexthop")
		if n.Gateway.IsValid() {
			out = append(out, "via", n.Gateway.String())
		}
		if dev(i) != "" {
			out = append(out, "dev", dev(i))
		}
		if n.Weight > 1 {
			out = append(out, "weight", strconv.Itoa(n.Weight))
		}
	}
	return out
}

func tableWord(t uint32) string {
	switch t {
	case snap.TableLocal:
		return "local"
	case snap.TableDefault:
		return "default"
	}
	return strconv.FormatUint(uint64(t), 10)
}

// defaultScope is what ip-route(8) takes for a route when none is given
// (iproute2: ip/iproute.c:iproute_modify).
func defaultScope(r snap.Route) string {
	switch {
	case r.Type == "local" || r.Type == "nat":
		return "host"
	case r.Type == "broadcast" || r.Type == "multicast" || r.Type == "anycast":
		return "link"
	case (r.Type == "" || r.Type == "unicast") && !r.Gateway.IsValid() && !r.Via.IsValid() && len(r.Nexthops) == 0:
		return "link"
	}
	return "global"
}
