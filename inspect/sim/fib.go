package sim

import (
	"net/netip"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fib is the routing policy database of one family of one namespace.
type fib struct {
	n      *netns
	fam    snap.Family
	rules  []policyRule // by priority
	tables map[uint32]*table
	// custom: there are rules beside the three that every namespace has
	// (fib4_has_custom_rules); customLocal: somebody wrote into the local table
	// (fib_has_custom_local_routes); dissect: a rule looks at protocol or ports
	// (fib4_rules_require_fldissect).
	custom, customLocal, dissect bool
	failed                       []way // IPv6 gateways whose neighbour entry is FAILED
}

type policyRule struct {
	*snap.PolicyRule
	ref snap.Ref // "" for one that is always there
}

// table is one routing table.
type table struct {
	routes map[netip.Prefix][]*fibRoute // in the order of preference
	bits   []int                        // prefix lengths that occur, longest first
}

// fibRoute is a route made ready for look-ups.
type fibRoute struct {
	*snap.Route
	n     *netns
	index int       // in Netns.Routes; -1 for one made up from addresses
	hops  []nexthop // those that are not dead
	// ways are the nexthops for a look-up that leaves the device open; nil when
	// the answer hangs on more of the look-up.
	ways  []way
	label atomic.Pointer[routeLabel] // nil until it is first asked for
}

// routeLabel is how a route is pointed at and printed.
type routeLabel struct {
	ref  snap.Ref // "" for one that was made up
	text string
}

// lookup is the kernel's struct flowi.
type lookup struct {
	dst, src     netip.Addr
	iif, oif     int // iif is lo's for a local sender
	mark         uint32
	tos, proto   uint8
	sport, dport uint16
	uid          uint32
	l3mdev       int // ifindex of the VRF, 0 none
	linkdownOK   bool
	// near is the device that IPv6 prefers among routes of one metric, 0 none; strict
	// that only its routes count (rt6_score_route, net/ipv6/route.c).
	near   int
	strict bool
	sends  bool // of a local sender: default routes of one metric are chosen among
	// alive leaves IPv6 gateways out that did not answer (RT6_LOOKUP_F_REACHABLE).
	alive bool
}

// way is one usable nexthop.
type way struct {
	oif    int
	gw     netip.Addr
	weight int
}

// found is the answer of a look-up.
type found struct {
	errno  string // "" when a route was found
	typ    string // route type
	route  *snap.Route
	ref    snap.Ref // of the route
	rule   snap.Ref // of the policy rule that decided, "" for the built-in ones
	byRule bool     // the rule itself refused
	text   string   // of the rule or route that decided
	table  uint32
	ways   []way
	// each are the routes of ways, where these are of several; nil of one.
	each []*fibRoute
}

func newFIB(n *netns, fam snap.Family) *fib {
	f := &fib{n: n, fam: fam, tables: map[uint32]*table{}}
	for i := range n.n.Rules {
		r := &n.n.Rules[i]
		if r.Family != fam {
			continue
		}
		f.rules = append(f.rules, policyRule{r, snap.RefItem(n.n.ID, "iprule", i)})
		builtin := r.Action == "table" && !r.Src.IsValid() && !r.Dst.IsValid() && r.IIF == "" && r.OIF == "" && r.Mask == 0 && !r.L3mdev &&
			r.IPProto == 0 && (r.Table == snap.TableLocal && r.Priority == 0 || r.Table == snap.TableMain && r.Priority == 32766 || r.Table == snap.TableDefault && r.Priority == 32767)
		f.custom = f.custom || !builtin
		f.dissect = f.dissect || r.IPProto != 0 || r.Sport != [2]uint16{} || r.Dport != [2]uint16{}
	}
	if len(f.rules) == 0 {
		for _, d := range []struct {
			prio, table uint32
		}{{0, snap.TableLocal}, {32766, snap.TableMain}, {32767, snap.TableDefault}} {
			f.rules = append(f.rules, policyRule{&snap.PolicyRule{Family: fam, Priority: d.prio, Action: "table", Table: d.table, SuppressPrefixLen: -1, SuppressIfgroup: -1}, ""})
		}
	}
	sort.SliceStable(f.rules, func(i, j int) bool { return f.rules[i].Priority < f.rules[j].Priority })
	for i := range n.n.Routes {
		r := &n.n.Routes[i]
		if r.Family != fam {
			continue
		}
		f.add(r.Dst.Masked(), r, i)
		if r.Table == snap.TableLocal && r.Protocol != "kernel" {
			f.customLocal = true
		}
	}
	for i := range n.n.Neighs {
		if e := &n.n.Neighs[i]; fam == snap.IPv6 && e.State == "failed" && e.IP.Is6() && !e.Proxy {
			f.failed = append(f.failed, way{oif: e.Index, gw: e.IP})
		}
	}
	if f.tables[snap.TableLocal] == nil {
		f.localFromAddrs()
	}
	for _, t := range f.tables {
		t.finish()
	}
	return f
}

// add puts a route into its table; index is -1 for one that the dump has not.
func (f *fib) add(p netip.Prefix, r *snap.Route, index int) {
	t := f.tables[r.Table]
	if t == nil {
		t = &table{routes: map[netip.Prefix][]*fibRoute{}}
		f.tables[r.Table] = t
	}
	o := &fibRoute{Route: r, n: f.n, index: index}
	f.ready(o)
	t.routes[p] = append(t.routes[p], o)
}

// localFromAddrs makes the local table that the kernel keeps of addresses
// (fib_add_ifaddr, net/ipv4/fib_frontend.c), for snapshots without it.
func (f *fib) localFromAddrs() {
	add := func(r snap.Route) {
		r.Family, r.Table, r.Protocol = f.fam, snap.TableLocal, "kernel"
		f.add(r.Dst, &r, -1)
	}
	for _, a := range f.n.n.Addrs {
		ip := a.Prefix.Addr()
		l := f.n.links[a.Index]
		if snap.FamilyOf(ip) != f.fam || l == nil || !l.Up || !addrUsable(&a) {
			continue
		}
		add(snap.Route{Type: "local", Dst: netip.PrefixFrom(ip, ip.BitLen()), Scope: "host", PrefSrc: ip, Oif: a.Index})
		if ip.Is4() && ip.IsLoopback() {
			add(snap.Route{Type: "local", Dst: a.Prefix.Masked(), Scope: "host", PrefSrc: ip, Oif: a.Index})
		}
		if a.Bcast.IsValid() {
			add(snap.Route{Type: "broadcast", Dst: netip.PrefixFrom(a.Bcast, 32), Scope: "link", PrefSrc: ip, Oif: a.Index})
		}
	}
}

// finish sorts the routes of a prefix as the kernel keeps them: by TOS, then
// by metric (fib_insert_alias, net/ipv4/fib_trie.c).
func (t *table) finish() {
	seen := map[int]bool{}
	for p, list := range t.routes {
		sort.SliceStable(list, func(i, j int) bool {
			a, b := list[i], list[j]
			if a.TOS != b.TOS {
				return a.TOS > b.TOS
			}
			return a.Metric < b.Metric
		})
		if !seen[p.Bits()] {
			seen[p.Bits()] = true
			t.bits = append(t.bits, p.Bits())
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(t.bits)))
}

// line is what is said of a route: the same few are asked for again and again.
func (r *fibRoute) line() *routeLabel {
	l := r.label.Load()
	if l == nil {
		l = &routeLabel{text: r.n.routeText(r.Route)}
		if r.index >= 0 {
			l.ref = snap.RefItem(r.n.n.ID, "route", r.index)
		}
		r.label.Store(l)
	}
	return l
}

// errnos of routes that refuse (fib_props, net/ipv4/fib_semantics.c).
func typeErrno(typ string) string {
	switch typ {
	case "blackhole":
		return "EINVAL"
	case "unreachable":
		return "EHOSTUNREACH"
	case "prohibit":
		return "EACCES"
	}
	return ""
}

// search looks in one table; ok is false when the next rule goes on. Where only gateways
// are left that did not answer, they are taken after all (fib6_table_lookup).
func (t *table) search(f *fib, q *lookup) (res found, plen int, ok bool) {
	res, plen, ok = t.look(f, q)
	if !ok && res.typ == "" && q.alive && len(f.failed) > 0 {
		any := *q
		any.alive = false
		return t.look(f, &any)
	}
	return res, plen, ok
}

func (t *table) look(f *fib, q *lookup) (res found, plen int, ok bool) {
	var missed netip.Addr
	for _, bits := range t.bits {
		p, err := q.dst.Prefix(bits)
		if err != nil || p.Addr() == missed {
			continue
		}
		list := t.routes[p]
		if len(list) > 0 && f.fam == snap.IPv6 {
			if r, ways := f.choose6(list, q); r != nil {
				return r.decided(ways), bits, r.Type != "throw"
			}
			continue
		}
		for _, r := range list {
			if r.TOS != 0 && r.TOS&0x1c != q.tos&0x1c {
				continue
			}
			if r.Type == "throw" {
				return found{}, 0, false
			}
			if typeErrno(r.Type) != "" {
				return r.decided(nil), bits, true
			}
			ways := f.ways(r, q)
			if len(ways) == 0 && r.NHID != 0 {
				// A nexthop object that won't do ends its leaf of the trie, with all
				// shorter prefixes of the same address (fib_table_lookup: miss).
				missed = p.Addr()
				break
			}
			if len(ways) == 0 {
				continue
			}
			if bits == 0 {
				if each := f.living(r, list, q); each != nil {
					return among(each), 0, true
				}
			}
			return r.decided(ways), bits, true
		}
	}
	return found{}, 0, false
}

// among is the answer of a look-up that several routes may have decided.
func among(each []*fibRoute) found {
	var ways []way
	for _, r := range each {
		ways = append(ways, r.hops[0].way)
	}
	res := each[0].decided(ways)
	if len(each) > 1 {
		res.each = each
	}
	return res
}

// decided is the answer of a look-up that this route decided.
func (r *fibRoute) decided(ways []way) found {
	l := r.line()
	return found{errno: typeErrno(r.Type), typ: r.Type, route: r.Route, ref: l.ref, table: r.Table, ways: ways, text: l.text}
}

// find walks the rules and their tables (fib_rules_lookup, net/core/fib_rules.c).
func (f *fib) find(q *lookup) found {
	for i := 0; i < len(f.rules); i++ {
		r := &f.rules[i]
		if f.ruleMatches(r.PolicyRule, q) == r.Invert {
			continue
		}
		switch r.Action {
		case "goto":
			j := slices.IndexFunc(f.rules, func(o policyRule) bool { return o.Priority >= r.Goto })
			if j < 0 || f.rules[j].Priority != r.Goto || j <= i {
				continue // unresolved: FR_ACT_NOP
			}
			i = j - 1
		case "blackhole":
			return found{errno: "EINVAL", rule: r.ref, byRule: true, typ: r.Action, text: ruleText(r.PolicyRule)}
		case "prohibit":
			return found{errno: "EACCES", rule: r.ref, byRule: true, typ: r.Action, text: ruleText(r.PolicyRule)}
		case "unreachable":
			return found{errno: "ENETUNREACH", rule: r.ref, byRule: true, typ: r.Action, text: ruleText(r.PolicyRule)}
		case "table", "":
			id := r.Table
			if r.L3mdev {
				vrf := f.n.links[q.l3mdev]
				if vrf == nil || vrf.VRF == nil {
					continue
				}
				id = vrf.VRF.Table
			}
			t := f.tables[id]
			if t == nil {
				continue
			}
			res, plen, ok := t.search(f, q)
			if !ok || res.errno == "" && f.suppressed(r.PolicyRule, &res, plen) {
				continue
			}
			res.rule = r.ref
			return res
		}
	}
	return found{errno: "ENETUNREACH"}
}

func (f *fib) suppressed(r *snap.PolicyRule, res *found, plen int) bool {
	if r.SuppressPrefixLen >= 0 && plen <= r.SuppressPrefixLen {
		return true
	}
	if r.SuppressIfgroup >= 0 && len(res.ways) > 0 {
		l := f.n.links[res.ways[0].oif]
		return l != nil && l.Group == uint32(r.SuppressIfgroup)
	}
	return false
}

// ruleMatches is fib_rule_match and fib4_rule_match or fib6_rule_match.
func (f *fib) ruleMatches(r *snap.PolicyRule, q *lookup) bool {
	if r.IIF != "" {
		l := f.n.byName[r.IIF]
		if l == nil || l.Index != q.iif && !(l.VRF != nil && l.Index == q.l3mdev) {
			return false
		}
	}
	if r.OIF != "" {
		l := f.n.byName[r.OIF]
		if l == nil || l.Index != q.oif && !(l.VRF != nil && l.Index == q.l3mdev) {
			return false
		}
	}
	switch {
	case (r.Mark^q.mark)&r.Mask != 0,
		r.TunID != 0,
		r.L3mdev && q.l3mdev == 0,
		r.UID != nil && (q.uid < r.UID[0] || q.uid > r.UID[1]),
		r.Src.IsValid() && r.Src.Bits() > 0 && !(q.src.IsValid() && r.Src.Contains(q.src)),
		r.Dst.IsValid() && r.Dst.Bits() > 0 && !r.Dst.Contains(q.dst),
		r.TOS != 0 && r.TOS != q.tos&0xfc,
		r.IPProto != 0 && r.IPProto != q.proto,
		r.Sport != [2]uint16{} && (q.sport < r.Sport[0] || q.sport > r.Sport[1]),
		r.Dport != [2]uint16{} && (q.dport < r.Dport[0] || q.dport > r.Dport[1]):
		return false
	}
	return true
}
