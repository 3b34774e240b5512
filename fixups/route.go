package fixups

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RouteAdd adds a route, with all its attributes. The devices are named by
// Devs: one for Route.Oif, or one for each of Route.Nexthops; the ifindices in
// Route are only looked at where there is no name.
type RouteAdd struct {
	Where
	Devs  []string   `json:"devs,omitempty"`
	Route snap.Route `json:"route"`
}

// RouteDel deletes exactly that route.
type RouteDel struct {
	Where
	Devs  []string   `json:"devs,omitempty"`
	Route snap.Route `json:"route"`
}

// RouteReplace puts a route in the place of the one with the same table,
// destination, TOS and metric; where there is none it is added.
type RouteReplace struct {
	Where
	Devs  []string   `json:"devs,omitempty"`
	Route snap.Route `json:"route"`
}

// NewRouteAdd fills in the device names from the snapshot.
func NewRouteAdd(s *snap.Snapshot, netns string, r snap.Route) *RouteAdd {
	return &RouteAdd{Where: At(s, netns), Devs: devNames(s.Ns(netns), r), Route: r}
}

// NewRouteDel fills in the device names from the snapshot.
func NewRouteDel(s *snap.Snapshot, netns string, r snap.Route) *RouteDel {
	return &RouteDel{Where: At(s, netns), Devs: devNames(s.Ns(netns), r), Route: r}
}

// NewRouteReplace fills in the device names from the snapshot.
func NewRouteReplace(s *snap.Snapshot, netns string, r snap.Route) *RouteReplace {
	return &RouteReplace{Where: At(s, netns), Devs: devNames(s.Ns(netns), r), Route: r}
}

func devNames(ns *snap.Netns, r snap.Route) []string {
	if ns == nil {
		return nil
	}
	name := func(i int) string {
		if l := ns.LinkAt(i); l != nil {
			return l.Name
		}
		return ""
	}
	if len(r.Nexthops) > 0 {
		var out []string
		for _, n := range r.Nexthops {
			out = append(out, name(n.Oif))
		}
		return out
	}
	if r.Oif == 0 {
		return nil
	}
	return []string{name(r.Oif)}
}

// Bound is the route as the kernel would complete it, with the ifindices that
// its names have now.
func Bound(ns *snap.Netns, devs []string, r snap.Route) (snap.Route, error) {
	r = complete(r)
	index := func(i, was int) (int, error) {
		if i >= len(devs) || devs[i] == "" {
			return was, nil
		}
		l := ns.Link(devs[i])
		if l == nil {
			return 0, snap.NotFoundf("no device %s in %s", devs[i], ns.ID)
		}
		return l.Index, nil
	}
	var err error
	if len(r.Nexthops) == 0 {
		r.Oif, err = index(0, r.Oif)
		return r, err
	}
	r.Nexthops = slices.Clone(r.Nexthops)
	for i := range r.Nexthops {
		if r.Nexthops[i].Oif, err = index(i, r.Nexthops[i].Oif); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (*RouteAdd) Kind() string     { return "route-add" }
func (*RouteDel) Kind() string     { return "route-del" }
func (*RouteReplace) Kind() string { return "route-replace" }

func (o *RouteAdd) Describe() string {
	return "add route " + strings.Join(routeWords(o.Route, o.Devs), " ") + o.in()
}

func (o *RouteDel) Describe() string {
	return "delete route " + strings.Join(routeWords(o.Route, o.Devs), " ") + o.in()
}

func (o *RouteReplace) Describe() string {
	return "replace route by " + strings.Join(routeWords(o.Route, o.Devs), " ") + o.in()
}

func (o *RouteAdd) Shell() []string { return []string{routeLine(o.Where, "add", o.Route, o.Devs)} }
func (o *RouteDel) Shell() []string { return []string{routeLine(o.Where, "del", o.Route, o.Devs)} }
func (o *RouteReplace) Shell() []string {
	return []string{routeLine(o.Where, "replace", o.Route, o.Devs)}
}

func routeLine(w Where, verb string, r snap.Route, devs []string) string {
	args := []string{"ip"}
	if r.Family == snap.IPv6 {
		args = append(args, "-6")
	}
	return w.line(append(append(args, "route", verb), routeWords(r, devs)...)...)
}

// complete gives a route what the kernel would give it.
func complete(r snap.Route) snap.Route {
	if r.Type == "" {
		r.Type = "unicast"
	}
	if r.Family == "" {
		r.Family = snap.FamilyOf(r.Dst.Addr())
	}
	if r.Table == 0 {
		r.Table = snap.TableMain
	}
	if r.Protocol == "" {
		r.Protocol = "boot"
	}
	if r.Scope == "" {
		r.Scope = defaultScope(r)
		if r.Family == snap.IPv6 {
			r.Scope = "global"
		}
	}
	if r.Family == snap.IPv6 && r.Metric == 0 && r.Table != snap.TableLocal {
		r.Metric = 1024 // include/uapi/linux/ipv6_route.h:IP6_RT_PRIO_USER
	}
	return r
}

// sameKey says whether two routes can't be in a table together.
func sameKey(a, b snap.Route) bool {
	return a.Family == b.Family && a.Table == b.Table && a.Dst == b.Dst && a.TOS == b.TOS && a.Metric == b.Metric
}

func (o *RouteAdd) On(s *snap.Snapshot) error {
	ns, err := o.find(s)
	if err != nil {
		return err
	}
	r, err := Bound(ns, o.Devs, o.Route)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(ns.Routes, func(x snap.Route) bool {
		return sameKey(x, r) && (r.Family == snap.IPv4 || x.Oif == r.Oif && x.Gateway == r.Gateway)
	}) {
		return fmt.Errorf("%s has a route to %s in that table already", o.ID, r.Dst)
	}
	if err := usable(ns, r); err != nil {
		return err
	}
	ns.Routes = append(ns.Routes, r)
	return nil
}

// usable says why the kernel would refuse the route
// (fib_semantics.c:fib_check_nh).
func usable(ns *snap.Netns, r snap.Route) error {
	hops := r.Nexthops
	if len(hops) == 0 {
		hops = []snap.Nexthop{{Oif: r.Oif, Gateway: r.Gateway}}
	}
	for _, h := range hops {
		if h.Oif == 0 && !h.Gateway.IsValid() {
			continue
		}
		l := ns.LinkAt(h.Oif)
		if h.Oif != 0 && (l == nil || !l.Up) {
			return fmt.Errorf("route to %s: its device is down or not there", r.Dst)
		}
		if !h.Gateway.IsValid() || r.Has("onlink") || slices.Contains(h.Flags, "onlink") || h.Gateway.IsLinkLocalUnicast() {
			continue
		}
		direct := func(x snap.Route) bool {
			return x.Dst.Contains(h.Gateway) && !x.Gateway.IsValid() && x.Type == "unicast" && (h.Oif == 0 || x.Oif == h.Oif || len(x.Nexthops) > 0)
		}
		if !slices.ContainsFunc(ns.Routes, direct) {
			return snap.NotFoundf("route to %s: no route to its gateway %s on that device", r.Dst, h.Gateway)
		}
	}
	return nil
}

func (o *RouteDel) On(s *snap.Snapshot) error {
	ns, i, err := findRoute(s, o.Where, o.Devs, o.Route)
	if err != nil {
		return err
	}
	if i < 0 {
		return snap.NotFoundf("%s has no route %s", o.ID, strings.Join(routeWords(o.Route, o.Devs), " "))
	}
	ns.Routes = slices.Delete(ns.Routes, i, i+1)
	return nil
}

// findRoute is the index of exactly that route, -1 for none.
func findRoute(s *snap.Snapshot, w Where, devs []string, route snap.Route) (*snap.Netns, int, error) {
	ns, err := w.find(s)
	if err != nil {
		return nil, -1, err
	}
	r, err := Bound(ns, devs, route)
	if err != nil {
		return ns, -1, nil //nolint:nilerr // a device that is not there has no routes
	}
	return ns, slices.IndexFunc(ns.Routes, func(x snap.Route) bool { return sameRoute(x, r) }), nil
}

func (o *RouteReplace) On(s *snap.Snapshot) error {
	ns, err := o.find(s)
	if err != nil {
		return err
	}
	r, err := Bound(ns, o.Devs, o.Route)
	if err != nil {
		return err
	}
	if err := usable(ns, r); err != nil {
		return err
	}
	if i := slices.IndexFunc(ns.Routes, func(x snap.Route) bool { return sameKey(x, r) }); i >= 0 {
		ns.Routes[i] = r
		return nil
	}
	ns.Routes = append(ns.Routes, r)
	return nil
}

func (o *RouteAdd) Inverse(s *snap.Snapshot) (Op, error) {
	_, i, err := findRoute(s, o.Where, o.Devs, o.Route)
	if err != nil || i >= 0 {
		return nil, err
	}
	return &RouteDel{Where: o.Where, Devs: o.Devs, Route: o.Route}, nil
}

func (o *RouteDel) Inverse(s *snap.Snapshot) (Op, error) {
	ns, i, err := findRoute(s, o.Where, o.Devs, o.Route)
	if err != nil || i < 0 {
		return nil, err
	}
	return &RouteAdd{Where: o.Where, Devs: devNames(ns, ns.Routes[i]), Route: ns.Routes[i]}, nil
}

func (o *RouteReplace) Inverse(s *snap.Snapshot) (Op, error) {
	ns, err := o.find(s)
	if err != nil {
		return nil, err
	}
	r, err := Bound(ns, o.Devs, o.Route)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(ns.Routes, func(x snap.Route) bool { return sameKey(x, r) })
	switch {
	case i < 0:
		return &RouteDel{Where: o.Where, Devs: o.Devs, Route: o.Route}, nil
	case sameRoute(ns.Routes[i], r):
		return nil, nil
	}
	return &RouteReplace{Where: o.Where, Devs: devNames(ns, ns.Routes[i]), Route: ns.Routes[i]}, nil
}

func (o *RouteAdd) Risk() Risk     { return RiskMedium }
func (o *RouteDel) Risk() Risk     { return RiskMedium }
func (o *RouteReplace) Risk() Risk { return RiskMedium }

func (o *RouteAdd) Object(s *snap.Snapshot) any     { return routeObject(s, o.Where, o.Route) }
func (o *RouteDel) Object(s *snap.Snapshot) any     { return routeObject(s, o.Where, o.Route) }
func (o *RouteReplace) Object(s *snap.Snapshot) any { return routeObject(s, o.Where, o.Route) }

// routeObject are the routes with the same key.
func routeObject(s *snap.Snapshot, w Where, r snap.Route) any {
	ns, err := w.find(s)
	if err != nil {
		return nil
	}
	r = complete(r)
	var out []any
	for _, x := range ns.Routes {
		if sameKey(x, r) {
			out = append(out, routeText(x))
		}
	}
	return out
}

func (o *RouteAdd) Holds(s *snap.Snapshot) bool {
	_, i, err := findRoute(s, o.Where, o.Devs, o.Route)
	return err == nil && i >= 0
}

func (o *RouteDel) Holds(s *snap.Snapshot) bool {
	_, i, err := findRoute(s, o.Where, o.Devs, o.Route)
	return err == nil && i < 0
}

func (o *RouteReplace) Holds(s *snap.Snapshot) bool {
	_, i, err := findRoute(s, o.Where, o.Devs, o.Route)
	return err == nil && i >= 0
}
