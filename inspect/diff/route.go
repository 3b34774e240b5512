package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func (n *nsDiffer) addrs() {
	type at struct {
		a   snap.Addr
		dev string
		i   int
	}
	of := func(ns *snap.Netns) (out []at) {
		for i, a := range ns.Addrs {
			if a.Scope != "link" { // those come by themselves
				out = append(out, at{a, ns.LinkName(a.Index), i})
			}
		}
		return out
	}
	pair(of(n.a), of(n.b), func(x *at) string { return x.dev + " " + x.a.Prefix.String() }, func(_ string, x, y *at) {
		switch {
		case y == nil:
			if n.b.Link(x.dev) == nil {
				return // told by the device that is gone
			}
			ip := x.a.Prefix.Addr().String()
			routes := n.along(n.a, n.b, x.a.Index, ip, "-")
			n.add(Change{Sign: "-", Noun: "addr", Name: x.dev, Text: fmt.Sprintf("%s lost its address %s", x.dev, x.a.Prefix), Ref: snap.RefItem(n.a.ID, "addr", x.i), on: n.in(func(ns *snap.Netns) {
				ns.Addrs = snap.Without(ns.Addrs, func(a snap.Addr) bool { return a.Index == x.a.Index && a.Prefix == x.a.Prefix })
				drop(ns, routes)
			})})
		case x == nil:
			if n.a.Link(y.dev) == nil {
				return
			}
			n.along(n.a, n.b, y.a.Index, y.a.Prefix.Addr().String(), "+")
			n.add(Change{Sign: "+", Noun: "addr", Name: y.dev, Text: fmt.Sprintf("%s has the address %s now", y.dev, y.a.Prefix), Ref: snap.RefItem(n.b.ID, "addr", y.i), on: n.in(func(ns *snap.Netns) {
				if l := ns.Link(y.dev); l != nil {
					a := y.a
					a.Index = l.Index
					ns.Addrs = append(ns.Addrs, a)
				}
			})})
		}
	})
}

// routeText is a route in ip-route(8)'s words, with the names of devices.
func routeText(ns *snap.Netns, r *snap.Route) string {
	var w []string
	if r.Type != "unicast" {
		w = append(w, r.Type)
	}
	dst := r.Dst.String()
	if r.Dst.Bits() == 0 {
		dst = "default"
		if r.Family == snap.IPv6 {
			dst = "default (IPv6)"
		}
	}
	w = append(w, dst)
	if r.Gateway.IsValid() {
		w = append(w, "via", r.Gateway.String())
	}
	if r.Via.IsValid() {
		w = append(w, "via", "inet6", r.Via.String())
	}
	if r.Oif != 0 {
		w = append(w, "dev", ns.LinkName(r.Oif))
	}
	for _, h := range r.Nexthops {
		w = append(w, "nexthop")
		if h.Gateway.IsValid() {
			w = append(w, "via", h.Gateway.String())
		}
		w = append(w, "dev", ns.LinkName(h.Oif))
	}
	if r.PrefSrc.IsValid() {
		w = append(w, "src", r.PrefSrc.String())
	}
	if r.Metric != 0 {
		w = append(w, "metric", fmt.Sprint(r.Metric))
	}
	if r.MTU != 0 {
		w = append(w, "mtu", fmt.Sprint(r.MTU))
	}
	if r.Table != snap.TableMain {
		w = append(w, "table", fmt.Sprint(r.Table))
	}
	return strings.Join(w, " ")
}

// mine are the routes that people think of: the kernel keeps the local table, and
// those to link-local and multicast addresses, by itself.
func mine(r *snap.Route) bool {
	return r.Table != snap.TableLocal && !r.Dst.Addr().IsLinkLocalUnicast() && !r.Dst.Addr().IsMulticast()
}

// along are the routes that a device (or an address of it) took along or
// brought: the kernel's own of an address, all of a device. They are told by it.
func (n *nsDiffer) along(a, b *snap.Netns, index int, addr, sign string) map[string]bool {
	from, other := a, b
	if sign == "+" {
		from, other = b, a
	}
	there := map[string]bool{}
	for i := range other.Routes {
		there[routeText(other, &other.Routes[i])] = true
	}
	out := map[string]bool{}
	for i := range from.Routes {
		r := &from.Routes[i]
		t := routeText(from, r)
		if there[t] || r.Oif != index || addr != "" && (r.Protocol != "kernel" || r.PrefSrc.IsValid() && r.PrefSrc.String() != addr) {
			continue
		}
		out[t] = true
		n.went[sign+t] = true
	}
	return out
}

// drop takes routes away.
func drop(ns *snap.Netns, texts map[string]bool) {
	ns.Routes = snap.Without(ns.Routes, func(r snap.Route) bool { return texts[routeText(ns, &r)] })
}

func (n *nsDiffer) routes() {
	type at struct {
		r    *snap.Route
		text string
		i    int
	}
	of := func(ns *snap.Netns) (out []at) {
		for i := range ns.Routes {
			if r := &ns.Routes[i]; mine(r) {
				out = append(out, at{r, routeText(ns, r), i})
			}
		}
		return out
	}
	pair(of(n.a), of(n.b), func(x *at) string { return x.text }, func(text string, x, y *at) {
		switch {
		case y == nil && !n.went["-"+text]:
			n.add(Change{Sign: "-", Noun: "route", Name: text, Text: "route removed: " + text, Ref: snap.RefItem(n.a.ID, "route", x.i), on: n.in(func(ns *snap.Netns) {
				drop(ns, map[string]bool{text: true})
			})})
		case x == nil && !n.went["+"+text]:
			r := *y.r
			name := n.b.LinkName(r.Oif)
			n.add(Change{Sign: "+", Noun: "route", Name: text, Text: "route added: " + text, Ref: snap.RefItem(n.b.ID, "route", y.i), on: n.in(func(ns *snap.Netns) {
				if l := ns.Link(name); l != nil {
					r.Oif = l.Index
				}
				ns.Routes = append(ns.Routes, r)
			})})
		}
	})
}

func (n *nsDiffer) policyRules() {
	text := func(r *snap.PolicyRule) string { return policyText(r) }
	pair(n.a.Rules, n.b.Rules, text, func(t string, x, y *snap.PolicyRule) {
		switch {
		case y == nil:
			n.add(Change{Sign: "-", Noun: "iprule", Name: t, Text: "policy rule removed: " + t, Ref: snap.RefNetns(n.a.ID), on: n.in(func(ns *snap.Netns) {
				ns.Rules = snap.Without(ns.Rules, func(r snap.PolicyRule) bool { return text(&r) == t })
			})})
		case x == nil:
			r := *y
			n.add(Change{Sign: "+", Noun: "iprule", Name: t, Text: "policy rule added: " + t, Ref: snap.RefNetns(n.b.ID), on: n.in(func(ns *snap.Netns) {
				at := slices.IndexFunc(ns.Rules, func(o snap.PolicyRule) bool { return o.Family == r.Family && o.Priority > r.Priority })
				if at < 0 {
					at = len(ns.Rules)
				}
				ns.Rules = slices.Insert(ns.Rules, at, r)
			})})
		}
	})
}

// policyText is a rule of the routing policy in ip-rule(8)'s words.
func policyText(r *snap.PolicyRule) string {
	w := []string{fmt.Sprintf("%d:", r.Priority)}
	if r.Family == snap.IPv6 {
		w = append(w, "(IPv6)")
	}
	if r.Invert {
		w = append(w, "not")
	}
	from := "all"
	if r.Src.IsValid() {
		from = r.Src.String()
	}
	w = append(w, "from", from)
	if r.Dst.IsValid() {
		w = append(w, "to", r.Dst.String())
	}
	for _, f := range []struct{ word, value string }{{"iif", r.IIF}, {"oif", r.OIF}} {
		if f.value != "" {
			w = append(w, f.word, f.value)
		}
	}
	if r.Mask != 0 {
		w = append(w, "fwmark", fmt.Sprintf("0x%x/0x%x", r.Mark, r.Mask))
	}
	if r.IPProto != 0 || r.Sport != [2]uint16{} || r.Dport != [2]uint16{} {
		w = append(w, fmt.Sprintf("ipproto %d sport %d-%d dport %d-%d", r.IPProto, r.Sport[0], r.Sport[1], r.Dport[0], r.Dport[1]))
	}
	switch r.Action {
	case "table":
		w = append(w, "lookup", fmt.Sprint(r.Table))
	case "goto":
		w = append(w, "goto", fmt.Sprint(r.Goto))
	default:
		w = append(w, r.Action)
	}
	return strings.Join(w, " ")
}
