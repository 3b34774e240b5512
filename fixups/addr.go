package fixups

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// AddrAdd gives a device an address, with all its attributes. Addr.Index is
// not looked at: Dev names the device.
type AddrAdd struct {
	Where
	Dev  string    `json:"dev"`
	Addr snap.Addr `json:"addr"`
}

func (*AddrAdd) Kind() string { return "addr-add" }

func (o *AddrAdd) Describe() string {
	return fmt.Sprintf("add address %s to %s%s", o.Addr.Prefix, o.Dev, o.in())
}

func (o *AddrAdd) Shell() []string {
	return []string{o.line(append([]string{"ip", "addr", "add"}, addrWords(o.Addr, o.Dev)...)...)}
}

// addrWords says an address in ip-address(8)'s words. The broadcast address is
// never left to ip(8), which sets none; the scope is left out where it is what
// ip(8) would take.
func addrWords(a snap.Addr, dev string) []string {
	out := []string{a.Prefix.String()}
	if a.Peer.IsValid() {
		out = []string{a.Prefix.Addr().String(), "peer", a.Peer.String()}
	}
	if a.Bcast.IsValid() {
		out = append(out, "broadcast", a.Bcast.String())
	}
	out = append(out, "dev", dev)
	if a.Label != "" && a.Label != dev {
		out = append(out, "label", a.Label)
	}
	if a.Scope != "" && a.Scope != "global" && !(a.Scope == "link" && a.Prefix.Addr().IsLinkLocalUnicast() && a.Prefix.Addr().Is6()) {
		out = append(out, "scope", a.Scope)
	}
	for _, f := range []string{"noprefixroute", "nodad", "home", "mngtmpaddr"} {
		if a.Has(f) {
			out = append(out, f)
		}
	}
	if a.ValidMs > 0 {
		out = append(out, "valid_lft", fmt.Sprint(a.ValidMs/1000), "preferred_lft", fmt.Sprint(max(a.PreferredMs, 0)/1000))
	}
	return out
}

func (o *AddrAdd) On(s *snap.Snapshot) error {
	ns, l, err := o.link(s, o.Dev)
	if err != nil {
		return err
	}
	a := o.Addr
	if !a.Prefix.IsValid() {
		return fmt.Errorf("adding an address to %s: none is given", o.Dev)
	}
	ip := a.Prefix.Addr()
	if slices.ContainsFunc(ns.Addrs, func(x snap.Addr) bool { return x.Index == l.Index && x.Prefix == a.Prefix && x.Peer == a.Peer }) {
		return fmt.Errorf("%s has %s already", o.Dev, a.Prefix)
	}
	if ip.Is6() && ns.Sysctls["net/ipv6/conf/"+o.Dev+"/disable_ipv6"] == "1" {
		return fmt.Errorf("IPv6 is off on %s: %w", o.Dev, snap.ErrPermission)
	}
	a.Index = l.Index
	if a.Label == "" && ip.Is4() {
		a.Label = l.Name
	}
	if a.Scope == "" {
		a.Scope = "global"
	}
	if a.ValidMs == 0 {
		a.ValidMs, a.PreferredMs = -1, -1
	}
	a.Flags = snap.Without(slices.Clone(a.Flags), func(f string) bool { return f == "secondary" || f == "tentative" || f == "dadfailed" })
	if !slices.Contains(a.Flags, "permanent") && a.ValidMs < 0 {
		a.Flags = append([]string{"permanent"}, a.Flags...)
	}
	if ip.Is4() && slices.ContainsFunc(ns.Addrs, func(x snap.Addr) bool { return sameNet(x, a) && !x.Has("secondary") }) {
		a.Flags = append(a.Flags, "secondary")
	}
	ns.Addrs = append(ns.Addrs, a)
	routes := addrRoutes(ns, l, a)
	if !l.Up {
		routes = routes[:1] // fib_add_ifaddr: the rest waits for the device
		if ip.Is6() {
			routes = nil
		}
	}
	addRoutes(ns, routes)
	return nil
}

// sameNet says whether two addresses of one device are of one subnet, so that
// the later is secondary (net/ipv4/devinet.c:__inet_insert_ifa).
func sameNet(a, b snap.Addr) bool {
	return a.Index == b.Index && a.Prefix.Addr().Is4() && a.Prefix.Masked() == b.Prefix.Masked() && a.Prefix.Bits() == b.Prefix.Bits()
}

func (o *AddrAdd) Inverse(s *snap.Snapshot) (Op, error) {
	if _, _, err := o.link(s, o.Dev); err != nil {
		return nil, err
	}
	if o.Holds(s) {
		return nil, nil
	}
	return &AddrDel{Where: o.Where, Dev: o.Dev, Prefix: o.Addr.Prefix, Peer: o.Addr.Peer}, nil
}

func (o *AddrAdd) Risk() Risk { return RiskMedium }

func (o *AddrAdd) Object(s *snap.Snapshot) any {
	return addrObject(s, o.Where, o.Dev, o.Addr.Prefix, o.Addr.Peer)
}

func addrObject(s *snap.Snapshot, w Where, dev string, p, peer netip.Prefix) any {
	ns, l, err := w.link(s, dev)
	if err != nil {
		return nil
	}
	out := []any{l.Index}
	if a := findAddr(ns, l, p, peer); a != nil {
		out = append(out, addrText(*a))
	}
	return out
}

func findAddr(ns *snap.Netns, l *snap.Link, p, peer netip.Prefix) *snap.Addr {
	for i := range ns.Addrs {
		if a := &ns.Addrs[i]; a.Index == l.Index && a.Prefix == p && a.Peer == peer {
			return a
		}
	}
	return nil
}

func (o *AddrAdd) Holds(s *snap.Snapshot) bool {
	ns, l, err := o.link(s, o.Dev)
	return err == nil && findAddr(ns, l, o.Addr.Prefix, o.Addr.Peer) != nil
}

// AddrDel takes an address off a device.
type AddrDel struct {
	Where
	Dev    string       `json:"dev"`
	Prefix netip.Prefix `json:"prefix"`
	Peer   netip.Prefix `json:"peer,omitzero"`
}

func (*AddrDel) Kind() string { return "addr-del" }

func (o *AddrDel) Describe() string {
	return fmt.Sprintf("delete address %s from %s%s", o.Prefix, o.Dev, o.in())
}

func (o *AddrDel) Shell() []string {
	args := []string{"ip", "addr", "del", o.Prefix.String()}
	if o.Peer.IsValid() {
		args = []string{"ip", "addr", "del", o.Prefix.Addr().String(), "peer", o.Peer.String()}
	}
	return []string{o.line(append(args, "dev", o.Dev)...)}
}

// On takes the address's routes along, those that prefer it as source
// (fib_semantics.c:fib_sync_down_addr), and with the last IPv4 address all
// IPv4 routes of the device (fib_frontend.c:fib_inetaddr_event).
func (o *AddrDel) On(s *snap.Snapshot) error {
	ns, l, err := o.link(s, o.Dev)
	if err != nil {
		return err
	}
	was := findAddr(ns, l, o.Prefix, o.Peer)
	if was == nil {
		return snap.NotFoundf("%s has no address %s", o.Dev, o.Prefix)
	}
	a := *was
	gone := []snap.Addr{a}
	rest := snap.Without(slices.Clone(ns.Addrs), func(x snap.Addr) bool { return x.Index == l.Index && x.Prefix == a.Prefix && x.Peer == a.Peer })
	if !a.Has("secondary") && a.Prefix.Addr().Is4() {
		rest, gone = promote(ns, l, a, rest, gone)
	}
	ns.Addrs = rest
	for _, g := range gone {
		dropAddrRoutes(ns, l, g)
	}
	for _, x := range ns.AddrsOf(l.Index) {
		if sameNet(x, a) && !x.Has("secondary") && l.Up {
			addRoutes(ns, addrRoutes(ns, l, x))
		}
	}
	left := slices.ContainsFunc(ns.Addrs, func(x snap.Addr) bool { return x.Index == l.Index && x.Prefix.Addr().Is4() })
	if a.Prefix.Addr().Is4() && !left {
		ns.Routes = snap.Without(ns.Routes, func(r snap.Route) bool { return r.Family == snap.IPv4 && onlyBy(r, l.Index) })
	}
	return nil
}

// promote makes the first secondary address primary, or takes them all away
// when promote_secondaries is off (devinet.c:__inet_del_ifa).
func promote(ns *snap.Netns, l *snap.Link, a snap.Addr, rest, gone []snap.Addr) (kept, lost []snap.Addr) {
	if promotes(ns, l) {
		for i, x := range rest {
			if sameNet(x, a) && x.Has("secondary") {
				x.Flags = snap.Without(slices.Clone(x.Flags), func(f string) bool { return f == "secondary" })
				rest[i] = x
				break
			}
		}
		return rest, gone
	}
	for _, x := range rest {
		if sameNet(x, a) && x.Has("secondary") {
			gone = append(gone, x)
		} else {
			kept = append(kept, x)
		}
	}
	return kept, gone
}

func promotes(ns *snap.Netns, l *snap.Link) bool {
	return ns.Sysctls["net/ipv4/conf/"+l.Name+"/promote_secondaries"] == "1" || ns.Sysctls["net/ipv4/conf/all/promote_secondaries"] == "1"
}

// dropAddrRoutes takes away what addrRoutes gave, as far as no other address
// stands for it, and what prefers the address as source if no other device has
// it (net/ipv4/fib_frontend.c: fib_del_ifaddr, fib_sync_down_addr).
func dropAddrRoutes(ns *snap.Netns, l *snap.Link, a snap.Addr) {
	var kept []snap.Route
	for _, x := range ns.AddrsOf(l.Index) {
		kept = append(kept, addrRoutes(ns, l, x)...)
	}
	mine := addrRoutes(ns, l, a)
	ip := a.Prefix.Addr()
	stays := slices.ContainsFunc(ns.Addrs, func(x snap.Addr) bool { return x.Prefix.Addr() == ip })
	ns.Routes = snap.Without(ns.Routes, func(r snap.Route) bool {
		is := func(o snap.Route) bool { return sameRoute(o, r) }
		return r.PrefSrc == ip && r.PrefSrc.IsValid() && ip.Is4() && !stays || slices.ContainsFunc(mine, is) && !slices.ContainsFunc(kept, is)
	})
}

// Inverse puts the address back, in its old order among those of its subnet.
func (o *AddrDel) Inverse(s *snap.Snapshot) (Op, error) {
	ns, l, err := o.link(s, o.Dev)
	if err != nil {
		return nil, err
	}
	a := findAddr(ns, l, o.Prefix, o.Peer)
	if a == nil {
		return nil, nil
	}
	var back []Op
	add := []Op{&AddrAdd{Where: o.Where, Dev: o.Dev, Addr: *a}}
	if !a.Has("secondary") && promotes(ns, l) {
		for _, x := range ns.Addrs {
			if sameNet(x, *a) && x.Has("secondary") {
				back = append([]Op{&AddrDel{Where: o.Where, Dev: o.Dev, Prefix: x.Prefix, Peer: x.Peer}}, back...)
				add = append(add, &AddrAdd{Where: o.Where, Dev: o.Dev, Addr: x})
			}
		}
	}
	return backWith(s, ns.ID, o, o.Where, append(back, add...)...)
}

func (o *AddrDel) Risk() Risk { return RiskHigh }

func (o *AddrDel) Object(s *snap.Snapshot) any {
	return addrObject(s, o.Where, o.Dev, o.Prefix, o.Peer)
}

func (o *AddrDel) Holds(s *snap.Snapshot) bool {
	ns, l, err := o.link(s, o.Dev)
	return err == nil && findAddr(ns, l, o.Prefix, o.Peer) == nil
}
