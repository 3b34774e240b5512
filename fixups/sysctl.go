package fixups

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// SysctlSet writes a sysctl below net.
type SysctlSet struct {
	Where
	Key   string `json:"key"` // "net/ipv4/ip_forward"
	Value string `json:"value"`
}

func (*SysctlSet) Kind() string { return "sysctl-set" }

func (o *SysctlSet) Describe() string {
	return fmt.Sprintf("set %s to %s%s", SysctlName(o.Key), o.plain(), o.in())
}

func (o *SysctlSet) Shell() []string {
	return []string{o.line("sysctl", "-w", SysctlName(o.Key)+"="+o.plain())}
}

// plain is the value as a person types it: the kernel writes tabs between numbers, and
// takes blanks (kernel/sysctl.c: proc_skip_spaces); a screen shows a tab escaped.
func (o *SysctlSet) plain() string { return strings.Join(strings.Fields(o.Value), " ") }

// SysctlName writes a key with dots, unless a part of it holds one itself;
// sysctl(8) takes slashes as well.
func SysctlName(key string) string {
	if strings.Contains(key, ".") {
		return key
	}
	return strings.ReplaceAll(key, "/", ".")
}

// SysctlKey undoes SysctlName.
func SysctlKey(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return strings.ReplaceAll(name, ".", "/")
}

// SysctlDev is the device that a key is of, "" for none.
func SysctlDev(key string) string {
	p := strings.Split(key, "/")
	if len(p) == 5 && p[0] == "net" && (p[1] == "ipv4" || p[1] == "ipv6") && (p[2] == "conf" || p[2] == "neigh") && p[3] != "all" && p[3] != "default" {
		return p[3]
	}
	return ""
}

// sysctlOrder puts "all" and "default" before devices, as they reach out to them.
func sysctlOrder(a, b string) int {
	weight := func(k string) int {
		if SysctlDev(k) == "" {
			return 0
		}
		return 1
	}
	return cmp.Or(weight(a)-weight(b), strings.Compare(a, b))
}

func (o *SysctlSet) On(s *snap.Snapshot) error {
	ns, err := o.find(s)
	if err != nil {
		return err
	}
	// A key that is not in the snapshot may only not have been read.
	if dev := SysctlDev(o.Key); dev != "" && ns.Link(dev) == nil && ns.Sysctls[o.Key] == "" {
		return snap.NotFoundf("%s has no %s", o.ID, SysctlName(o.Key))
	}
	if was, ok := ns.Sysctls[o.Key]; ok && was == o.Value {
		return nil
	}
	own := ns.OwnSysctls()
	own[o.Key] = o.Value
	for _, k := range reach(ns, o.Key) {
		own[k] = o.Value
	}
	o.aftermath(ns)
	return nil
}

// reach are the other keys that the kernel sets along (net/ipv4/devinet.c:
// inet_forward_change, net/ipv6/addrconf.c:addrconf_fixup_forwarding,
// addrconf_disable_ipv6).
func reach(ns *snap.Netns, key string) []string {
	var end, prefix string
	switch key {
	case "net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding":
		prefix, end = "net/ipv4/conf/", "/forwarding"
	case "net/ipv6/conf/all/forwarding":
		prefix, end = "net/ipv6/conf/", "/forwarding"
	case "net/ipv6/conf/all/disable_ipv6":
		prefix, end = "net/ipv6/conf/", "/disable_ipv6"
	default:
		return nil
	}
	var out []string
	for k := range ns.Sysctls {
		if strings.HasPrefix(k, prefix) && strings.HasSuffix(k, end) && k != key {
			out = append(out, k)
		}
	}
	if prefix == "net/ipv4/conf/" && key != "net/ipv4/ip_forward" {
		out = append(out, "net/ipv4/ip_forward")
	}
	slices.Sort(out)
	return out
}

// aftermath models what else happens: IPv6 going off takes addresses and
// routes, coming on gives the fe80 address; IPv6 forwarding drops default
// routes that routers announced, but where accept_ra is 2 (net/ipv6/route.c:
// rt6_purge_dflt_routers).
func (o *SysctlSet) aftermath(ns *snap.Netns) {
	switch {
	case strings.HasPrefix(o.Key, "net/ipv6/conf/") && strings.HasSuffix(o.Key, "/disable_ipv6"):
		for i := range ns.Links {
			l := &ns.Links[i]
			if o.Key != "net/ipv6/conf/all/disable_ipv6" && o.Key != "net/ipv6/conf/"+l.Name+"/disable_ipv6" {
				continue
			}
			if o.Value != "0" {
				ns.Addrs = snap.Without(ns.Addrs, func(a snap.Addr) bool { return a.Index == l.Index && a.Prefix.Addr().Is6() })
				ns.Routes = snap.Without(ns.Routes, func(r snap.Route) bool { return r.Family == snap.IPv6 && onlyBy(r, l.Index) })
				continue
			}
			revive6(ns, l)
		}
	case o.Key == "net/ipv4/ip_forward", o.Key == "net/ipv4/conf/all/forwarding":
		// A router takes no redirects (net/ipv4/devinet.c: inet_forward_change).
		const redirects = "net/ipv4/conf/all/accept_redirects"
		if _, ok := ns.Sysctls[redirects]; ok {
			own := ns.OwnSysctls()
			own[redirects] = "1"
			if o.Value != "0" {
				own[redirects] = "0"
			}
		}
	case o.Key == "net/ipv6/conf/all/forwarding" && o.Value != "0":
		ns.Routes = snap.Without(ns.Routes, func(r snap.Route) bool {
			l := ns.LinkAt(r.Oif)
			return r.Protocol == "ra" && r.Dst.Bits() == 0 && l != nil && ns.Sysctls["net/ipv6/conf/"+l.Name+"/accept_ra"] != "2"
		})
	}
}

// revive6 gives a device its own IPv6 address again.
func revive6(ns *snap.Netns, l *snap.Link) {
	if !l.Up {
		return
	}
	before := len(ns.Addrs)
	linkLocal(ns, l)
	for _, a := range ns.Addrs[before:] {
		addRoutes(ns, addrRoutes(ns, l, a))
	}
	if !l.Loopback {
		addRoutes(ns, []snap.Route{multicastRoute(l.Index)})
	}
}

// Inverse writes back every value that is changed along, too.
func (o *SysctlSet) Inverse(s *snap.Snapshot) (Op, error) {
	ns, err := o.find(s)
	if err != nil {
		return nil, err
	}
	was, ok := ns.Sysctls[o.Key]
	if !ok {
		return nil, snap.NotFoundf("value of %s in %s is not known", SysctlName(o.Key), o.ID)
	}
	if was == o.Value {
		return nil, nil
	}
	back := []Op{&SysctlSet{Where: o.Where, Key: o.Key, Value: was}}
	c := s.Clone()
	if err := seq(o, back[0]).On(c); err != nil {
		return nil, err
	}
	var more []Op
	for k, v := range c.Ns(ns.ID).Sysctls {
		if ns.Sysctls[k] != v {
			more = append(more, &SysctlSet{Where: o.Where, Key: k, Value: ns.Sysctls[k]})
		}
	}
	snap.Sort(more, func(a, b Op) int { return byShell(a, b) })
	return backWith(s, ns.ID, o, o.Where, append(back, more...)...)
}

func (o *SysctlSet) Risk() Risk { return RiskMedium }

func (o *SysctlSet) Object(s *snap.Snapshot) any {
	ns, err := o.find(s)
	if err != nil {
		return nil
	}
	if v, ok := ns.Sysctl(o.Key); ok {
		return v
	}
	return nil
}

func (o *SysctlSet) Holds(s *snap.Snapshot) bool {
	ns, err := o.find(s)
	if err != nil {
		return false
	}
	v, ok := ns.Sysctl(o.Key)
	return ok && strings.Join(strings.Fields(v), " ") == strings.Join(strings.Fields(o.Value), " ")
}
