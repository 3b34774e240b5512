package diff

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sysctls compares settings. What is set for a device that is not there any
// more went with it.
func (n *nsDiffer) sysctls() {
	followed := n.followers()
	for _, k := range slices.Sorted(maps.Keys(n.a.Sysctls)) {
		va, vb := n.a.Sysctls[k], n.b.Sysctls[k]
		if _, ok := n.b.Sysctls[k]; !ok || va == vb || counts(k) || followed[k] {
			continue
		}
		name := strings.ReplaceAll(k, "/", ".")
		n.add(Change{Sign: "~", Noun: "sysctl", Name: name, Text: fmt.Sprintf("%s %s → %s", name, va, vb), Ref: snap.RefSysctl(n.b.ID, k), on: n.in(func(ns *snap.Netns) {
			own := ns.OwnSysctls()
			own[k] = vb
			if leads(k) {
				for f := range followed {
					if strings.HasPrefix(f, k[:len("net/ipv4/")]) {
						own[f] = n.b.Sysctls[f]
					}
				}
			}
		})})
	}
}

// leads says whether a sysctl is the one that the kernel copies to every device
// when it is written (devinet.c:inet_forward_change, addrconf.c:addrconf_fixup_forwarding).
func leads(key string) bool {
	return key == "net/ipv4/ip_forward" || key == "net/ipv6/conf/all/forwarding"
}

// followers are the sysctls that changed only because a leading one did.
func (n *nsDiffer) followers() map[string]bool {
	out := map[string]bool{}
	for _, lead := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		v, ok := n.b.Sysctls[lead]
		if was, had := n.a.Sysctls[lead]; !ok || !had || was == v {
			continue
		}
		proto := lead[:len("net/ipv4/")]
		for k := range n.a.Sysctls {
			if k != lead && strings.HasPrefix(k, proto+"conf/") && (strings.HasSuffix(k, "/forwarding") && n.b.Sysctls[k] == v || k == proto+"conf/all/accept_redirects") {
				out[k] = true
			}
		}
	}
	return out
}

// counts says whether a sysctl is a figure that moves by itself.
func counts(key string) bool {
	return strings.HasSuffix(key, "_count") || strings.HasSuffix(key, "/nf_conntrack_buckets")
}

// firstEphemeral is where the kernel's usual ip_local_port_range begins: UDP
// sockets bound beyond it are those of clients.
const firstEphemeral = 32768

// sockets compares who listens. A port is the same whoever holds it.
func (n *nsDiffer) sockets() {
	type at struct {
		k *snap.Socket
		i int
	}
	embedded := snap.DockerResolver()
	of := func(ns *snap.Netns) (out []at) {
		for i := range ns.Sockets {
			k := &ns.Sockets[i]
			switch {
			case k.Remote.IsValid() || k.Local.Port() == 0:
			case k.Local.Addr() == embedded: // on a random port; told by the names that fail
			case k.Proto == snap.UDP && k.Local.Port() >= firstEphemeral:
			case k.Proto == snap.TCP || k.Proto == snap.UDP || k.Proto == snap.SCTP:
				out = append(out, at{k, i})
			}
		}
		return out
	}
	key := func(x *at) string { return fmt.Sprintf("%s %05d %s", x.k.Proto, x.k.Local.Port(), x.k.Local.Addr()) }
	who := func(k *snap.Socket) string {
		if k.Process == nil {
			return ""
		}
		return " (" + k.Process.Name + ")"
	}
	pair(of(n.a), of(n.b), key, func(_ string, x, y *at) {
		switch {
		case y == nil:
			name := fmt.Sprintf("%s/%s", x.k.Local, x.k.Proto)
			n.add(Change{Sign: "-", Noun: "socket", Name: name, Text: fmt.Sprintf("nothing listens on %s any more%s", name, who(x.k)), Ref: snap.RefItem(n.a.ID, "socket", x.i), on: n.in(func(ns *snap.Netns) {
				ns.Sockets = snap.Without(ns.Sockets, func(k snap.Socket) bool { return k.Proto == x.k.Proto && k.Local == x.k.Local })
			})})
		case x == nil:
			name := fmt.Sprintf("%s/%s", y.k.Local, y.k.Proto)
			n.add(Change{Sign: "+", Noun: "socket", Name: name, Text: fmt.Sprintf("%s is listened on%s", name, who(y.k)), Ref: snap.RefItem(n.b.ID, "socket", y.i), on: n.in(func(ns *snap.Netns) { ns.Sockets = append(ns.Sockets, *y.k) })})
		case x.k.Process != nil && y.k.Process != nil && x.k.Process.Name != y.k.Process.Name:
			name := fmt.Sprintf("%s/%s", y.k.Local, y.k.Proto)
			n.add(Change{Sign: "~", Noun: "socket", Name: name, Text: fmt.Sprintf("%s is held by %s now, not %s", name, y.k.Process.Name, x.k.Process.Name), Ref: snap.RefItem(n.b.ID, "socket", y.i)})
		}
	})
}

// resolvers compares the files of the name service.
func (d *differ) resolvers() {
	pair(d.a.Resolvers, d.b.Resolvers, func(r *snap.Resolver) string { return r.Owner }, func(owner string, x, y *snap.Resolver) {
		if x == nil || y == nil {
			return // told by its container
		}
		one := func(what string, a, b []string, set func(*snap.Resolver)) {
			if slices.Equal(a, b) {
				return
			}
			d.add(Change{Sign: "~", Noun: "resolver", Netns: y.Netns, Name: owner, Text: fmt.Sprintf("%s of %s: %s → %s", what, owner, none(a), none(b)), Ref: snap.RefResolver(owner), on: func(s *snap.Snapshot) {
				for i := range s.Resolvers {
					if s.Resolvers[i].Owner == owner {
						set(&s.Resolvers[i])
					}
				}
			}})
		}
		one("name servers", addrs(x.ResolvConf.Nameservers), addrs(y.ResolvConf.Nameservers), func(r *snap.Resolver) { r.ResolvConf.Nameservers = y.ResolvConf.Nameservers })
		one("servers behind 127.0.0.11", x.ResolvConf.ExtServers, y.ResolvConf.ExtServers, func(r *snap.Resolver) { r.ResolvConf.ExtServers = y.ResolvConf.ExtServers })
		one("search list", x.ResolvConf.Search, y.ResolvConf.Search, func(r *snap.Resolver) { r.ResolvConf.Search = y.ResolvConf.Search })
		one("resolver options", x.ResolvConf.Options, y.ResolvConf.Options, func(r *snap.Resolver) {
			c := y.ResolvConf
			c.Nameservers, c.Search, c.ExtServers = r.ResolvConf.Nameservers, r.ResolvConf.Search, r.ResolvConf.ExtServers
			r.ResolvConf = c
		})
		one("nsswitch", x.NSSwitch, y.NSSwitch, func(r *snap.Resolver) { r.NSSwitch = y.NSSwitch })
		gone, come := lists(hosts(x), hosts(y))
		set := func(s *snap.Snapshot) {
			for i := range s.Resolvers {
				if s.Resolvers[i].Owner == owner {
					s.Resolvers[i].Hosts = y.Hosts
				}
			}
		}
		for _, l := range gone {
			d.add(Change{Sign: "-", Noun: "resolver", Netns: y.Netns, Name: owner, Text: fmt.Sprintf("line removed from the hosts file of %s: %s", owner, l), Ref: snap.RefResolver(owner), on: set})
		}
		for _, l := range come {
			d.add(Change{Sign: "+", Noun: "resolver", Netns: y.Netns, Name: owner, Text: fmt.Sprintf("line added to the hosts file of %s: %s", owner, l), Ref: snap.RefResolver(owner), on: set})
		}
	})
}

func none(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func addrs(as []netip.Addr) (out []string) {
	for _, a := range as {
		out = append(out, a.String())
	}
	return out
}

// containerID is the name that Docker gives a container in its own hosts file.
var containerID = regexp.MustCompile(`^[0-9a-f]{12}$`)

// hosts are the lines of the hosts file, without those that only name the
// container by its own id: they are others after each start.
func hosts(r *snap.Resolver) (out []string) {
	for _, h := range r.Hosts {
		if len(h.Names) == 1 && containerID.MatchString(h.Names[0]) {
			continue
		}
		out = append(out, strings.Join(append([]string{h.Addr.String()}, h.Names...), " "))
	}
	return out
}
