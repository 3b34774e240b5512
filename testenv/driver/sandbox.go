package driver

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Sandbox makes a container's namespace, with lo, the sysctls that containers
// have, and the way to the embedded resolver.
func Sandbox(e *Env, c *Container) []fixups.Op {
	w := e.Where(c)
	ops := append([]fixups.Op{&fixups.SandboxAdd{Where: w}}, Every(e, w)...)
	if e.Gen == Docker20 && !slices.ContainsFunc(c.Ctr.Endpoints, func(x snap.Endpoint) bool { return x.IPv6.IsValid() }) {
		for _, d := range []string{"all", "default", "lo"} {
			ops = append(ops, &fixups.SysctlSet{Where: w, Key: "net/ipv6/conf/" + d + "/disable_ipv6", Value: "1"})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(c.Ctr.Sysctls)) {
		if key := strings.ReplaceAll(k, ".", "/"); strings.HasPrefix(key, "net/") {
			ops = append(ops, &fixups.SysctlSet{Where: w, Key: key, Value: c.Ctr.Sysctls[k]})
		}
	}
	return append(ops, DNS(e, c)...)
}

// Every is what every container's namespace begins with.
func Every(e *Env, w fixups.Where) []fixups.Op {
	groups := "0 2147483647"
	if e.Rootless {
		groups = "0 0" // others are not mapped (net/ipv4/sysctl_net_ipv4.c: ipv4_ping_group_range)
	}
	return []fixups.Op{
		&fixups.LinkSet{Where: w, Name: "lo", Up: true},
		&fixups.SysctlSet{Where: w, Key: "net/ipv4/ip_unprivileged_port_start", Value: "0"},
		&fixups.SysctlSet{Where: w, Key: "net/ipv4/ping_group_range", Value: groups},
	}
}

// DNS are the rules that lead 127.0.0.11:53 to the resolver's sockets in the
// container (moby daemon/libnetwork/resolver_unix.go).
func DNS(e *Env, c *Container) []fixups.Op {
	if c.DNSPort == 0 {
		return nil
	}
	at, port, resolver := e.Where(c), strconv.Itoa(int(c.DNSPort)), snap.DockerResolver()
	if e.NFT() {
		w := &nft{at: at, table: "netdoctor-dns"}
		w.ops = append(w.ops, &fixups.TableAdd{ChainRef: w.ref("")})
		w.base("dns-dnat", "output", "nat", -100)
		w.base("dns-snat", "postrouting", "nat", 100)
		for _, p := range []string{"tcp", "udp"} {
			w.add("dns-dnat", fmt.Sprintf("ip daddr %s %s dport 53 counter dnat to %s:%s", resolver, p, resolver, port))
		}
		for _, p := range []string{"tcp", "udp"} {
			w.add("dns-snat", fmt.Sprintf("ip saddr %s %s sport %s counter snat to :53", resolver, p, port))
		}
		return w.ops
	}
	w := &ipt{env: e, at: at}
	out, post := prefix+"_OUTPUT", prefix+"_POSTROUTING"
	w.base("nat", "OUTPUT")
	w.base("nat", "POSTROUTING")
	w.chain("nat", out)
	w.chain("nat", post)
	w.add("nat", "OUTPUT", "-d "+full(resolver), out)
	w.add("nat", "POSTROUTING", "-d "+full(resolver), post)
	for _, p := range []string{"tcp", "udp"} {
		w.add("nat", out, fmt.Sprintf("-d %s -p %s -m %s --dport 53", full(resolver), p, p), fmt.Sprintf("DNAT --to-destination %s:%s", resolver, port))
	}
	for _, p := range []string{"tcp", "udp"} {
		w.add("nat", post, fmt.Sprintf("-s %s -p %s -m %s --sport %s", full(resolver), p, p, port), "SNAT --to-source :53")
	}
	return w.ops
}

// servicesTable holds the virtual addresses in each container's namespace.
const servicesTable = "netdoctor-services"

// Services leads virtual addresses to containers by turns, in the client's own
// namespace: answers come back to it directly, and its connection tracking turns
// them back.
func Services(e *Env, c *Container, list []Service) []fixups.Op {
	w := &nft{at: e.Where(c), table: servicesTable}
	for i := range list {
		s := &list[i]
		if len(s.Backends) == 0 || c.Endpoint(s.Network) == nil {
			continue
		}
		if len(w.ops) == 0 {
			w.ops = append(w.ops, &fixups.TableAdd{ChainRef: w.ref("")})
			w.base("output", "output", "nat", -100)
		}
		set := snap.Set{Name: "svc-" + s.Name + "." + s.Network, Map: true, KeyType: fixups.TypeInteger, KeyLen: 4, DataType: fixups.TypeIPAddr, DataLen: 4, UserData: fixups.MapUserData(fixups.OrderHost, fixups.OrderBig), Elements: []snap.Element{}}
		for j, b := range s.Backends {
			set.Elements = append(set.Elements, snap.Element{Key: native(uint32(j)), Data: b.AsSlice()})
		}
		w.ops = append(w.ops, &fixups.SetAdd{ChainRef: w.ref(""), Set: set})
		w.add("output", fmt.Sprintf("ip daddr %s counter dnat to numgen inc mod %d map @%s", s.VIP, len(s.Backends), set.Name))
	}
	return w.ops
}

// DropServices takes the table away.
func DropServices(e *Env, c *Container) []fixups.Op {
	w := &nft{at: e.Where(c), table: servicesTable}
	return []fixups.Op{&fixups.TableDrop{ChainRef: w.ref("")}}
}
