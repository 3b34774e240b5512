package shell

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// route reads ip-route(8): add, replace and delete.
func (r *reader) route() (fixups.Op, error) {
	verb, err := r.next("what to do")
	if err != nil {
		return nil, err
	}
	rt, err := r.routeWords()
	if err != nil {
		return nil, err
	}
	switch verb {
	case "add", "a":
		return fixups.NewRouteAdd(r.s, r.ns.ID, rt), nil
	case "replace":
		return fixups.NewRouteReplace(r.s, r.ns.ID, rt), nil
	case "delete", "del", "d":
		was, err := r.routeLike(rt)
		if err != nil {
			return nil, err
		}
		return fixups.NewRouteDel(r.s, r.ns.ID, was), nil
	}
	return nil, fmt.Errorf("ip route %s: %w", verb, snap.ErrUnsupported)
}

// routeWords reads the route itself.
func (r *reader) routeWords() (snap.Route, error) {
	rt := snap.Route{Family: r.fam}
	if r.more() && slices.Contains([]string{"unicast", "local", "broadcast", "throw", "unreachable", "prohibit", "blackhole"}, r.words[r.i]) {
		rt.Type, _ = r.next("")
	}
	open := r.take("default")
	var err error
	if !open {
		if rt.Dst, err = r.prefix(false); err != nil {
			return rt, err
		}
	}
	for r.more() && err == nil {
		switch w, _ := r.next(""); w {
		case "via":
			rt.Gateway, err = r.via(&rt)
		case "dev":
			rt.Oif, err = r.oif()
		case "table":
			rt.Table, err = r.table()
		case "metric", "preference", "priority":
			var n uint64
			n, err = r.number(w, 32)
			rt.Metric = uint32(n)
		case "src":
			rt.PrefSrc, err = r.address()
		case "scope":
			rt.Scope, err = r.next(w)
		case "proto", "protocol":
			rt.Protocol, err = r.next(w)
		case "mtu":
			var n uint64
			n, err = r.number(w, 16)
			rt.MTU = int(n)
		case "onlink":
			rt.Flags = append(rt.Flags, w)
		case "nhid":
			var n uint64
			n, err = r.number(w, 32)
			rt.NHID = uint32(n)
		case "nexthop":
			err = r.nexthop(&rt)
		default:
			err = fmt.Errorf("ip route … %s: %w", w, snap.ErrUnsupported)
		}
	}
	if err != nil {
		return rt, err
	}
	if open {
		rt.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if rt.Family == snap.IPv6 || rt.Gateway.Is6() || rt.PrefSrc.Is6() || len(rt.Nexthops) > 0 && rt.Nexthops[0].Gateway.Is6() {
			rt.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	fam := snap.FamilyOf(rt.Dst.Addr())
	if rt.Family != "" && rt.Family != fam || rt.Gateway.IsValid() && snap.FamilyOf(rt.Gateway) != fam {
		return rt, fmt.Errorf("the route mixes IPv4 and IPv6: %w", snap.ErrUnsupported)
	}
	rt.Family = fam
	return rt, nil
}

// via reads a gateway; its device is the one that leads to it, unless one is
// named later.
func (r *reader) via(rt *snap.Route) (netip.Addr, error) {
	gw, err := r.address()
	if err != nil || rt.Oif != 0 {
		return gw, err
	}
	rt.Oif = r.leadsTo(gw)
	return gw, nil
}

// leadsTo is the device of the most exact route on whose link an address is, 0
// for none (fib_semantics.c:fib_check_nh_v4_gw).
func (r *reader) leadsTo(gw netip.Addr) int {
	best, oif := -1, 0
	for i := range r.ns.Routes {
		if o := &r.ns.Routes[i]; o.Table == snap.TableMain && o.Type == "unicast" && !o.Gateway.IsValid() && o.Dst.Contains(gw) && o.Dst.Bits() > best {
			best, oif = o.Dst.Bits(), o.Oif
		}
	}
	return oif
}

func (r *reader) oif() (int, error) {
	l, err := r.device()
	if err != nil {
		return 0, err
	}
	return l.Index, nil
}

// nexthop reads one of several ways.
func (r *reader) nexthop(rt *snap.Route) error {
	h := snap.Nexthop{Weight: 1}
	var err error
	for r.more() && err == nil {
		switch {
		case r.take("via"):
			if h.Gateway, err = r.address(); h.Oif == 0 {
				h.Oif = r.leadsTo(h.Gateway)
			}
		case r.take("dev"):
			h.Oif, err = r.oif()
		case r.take("weight"):
			var n uint64
			n, err = r.number("weight", 8)
			h.Weight = int(n)
		default:
			rt.Nexthops = append(rt.Nexthops, h)
			return nil
		}
	}
	rt.Nexthops = append(rt.Nexthops, h)
	return err
}

// table reads a table's number, or one of the three names that are always
// there.
func (r *reader) table() (uint32, error) {
	w, err := r.next("the table")
	switch {
	case err != nil:
		return 0, err
	case w == "main":
		return snap.TableMain, nil
	case w == "local":
		return snap.TableLocal, nil
	case w == "default":
		return snap.TableDefault, nil
	}
	n, err := strconv.ParseUint(w, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("table %s is known to the host by a name that is not read here; give its number: %w", w, snap.ErrUnsupported)
	}
	return uint32(n), nil
}

// routeLike is the route that the kernel would delete: the first that has all
// that was said (fib_trie.c:fib_table_delete).
func (r *reader) routeLike(want snap.Route) (snap.Route, error) {
	if want.Table == 0 {
		want.Table = snap.TableMain
	}
	best := -1
	for i := range r.ns.Routes {
		o := &r.ns.Routes[i]
		switch {
		case o.Family != want.Family, o.Table != want.Table, o.Dst != want.Dst,
			want.Type != "" && o.Type != want.Type,
			want.Oif != 0 && o.Oif != want.Oif,
			want.Gateway.IsValid() && o.Gateway != want.Gateway,
			want.Metric != 0 && o.Metric != want.Metric,
			want.NHID != 0 && o.NHID != want.NHID,
			want.PrefSrc.IsValid() && o.PrefSrc != want.PrefSrc,
			want.Scope != "" && o.Scope != want.Scope,
			want.Protocol != "" && o.Protocol != want.Protocol,
			best >= 0 && o.Metric >= r.ns.Routes[best].Metric:
			continue
		}
		best = i
	}
	if best < 0 {
		return want, snap.NotFoundf("%s has no such route to %s", r.ns.ID, want.Dst)
	}
	return r.ns.Routes[best], nil
}
