package mutate

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sysctl changes one kernel parameter of the host or of a container.
func sysctl(g *gen) (Mutation, bool) {
	t := g.target()
	up := g.uplink()
	upName := t.bridge.Name
	if up != nil {
		upName = up.Name
	}
	type change struct {
		ns    *snap.Netns
		key   string
		value string
	}
	dev := pick(g, t.bridge.Name, upName, "all")
	c := pick(g,
		change{g.host, "net/ipv4/ip_forward", "0"},
		change{g.host, "net/ipv4/conf/" + dev + "/forwarding", "0"},
		change{g.host, "net/ipv4/conf/" + dev + "/rp_filter", "1"},
		change{g.host, "net/ipv4/conf/" + dev + "/arp_ignore", pick(g, "1", "2", "8")},
		change{g.host, "net/ipv4/conf/" + dev + "/arp_filter", "1"},
		change{g.host, "net/ipv4/conf/" + dev + "/route_localnet", "0"},
		change{g.host, "net/ipv4/conf/" + dev + "/proxy_arp", "1"},
		change{g.host, "net/ipv4/conf/" + dev + "/arp_announce", "2"},
		change{g.host, "net/ipv4/conf/" + dev + "/accept_local", "1"},
		change{g.host, "net/bridge/bridge-nf-call-iptables", "0"},
		change{g.host, "net/ipv4/ip_local_port_range", "32768 32770"},
		change{g.host, "net/ipv4/tcp_ecn", "1"},
		change{g.host, "net/ipv4/ip_default_ttl", pick(g, "1", "2", "60")},
		change{t.ns, "net/ipv4/ip_default_ttl", pick(g, "1", "2", "60")},
		change{t.ns, "net/ipv4/conf/" + t.eth.Name + "/arp_ignore", pick(g, "2", "3", "8")},
		change{t.ns, "net/ipv4/conf/" + t.eth.Name + "/rp_filter", "1"},
		change{t.ns, "net/ipv4/conf/" + t.eth.Name + "/disable_policy", "1"},
		change{t.ns, "net/ipv4/icmp_echo_ignore_all", "1"},
		change{t.ns, "net/ipv6/conf/all/disable_ipv6", "1"},
		change{t.ns, "net/ipv4/ip_local_port_range", "40000 40001"},
		change{t.ns, "net/ipv4/tcp_timestamps", "0"},
		change{t.ns, "net/ipv4/ping_group_range", "1 0"},
	)
	path := "/proc/sys/" + c.key
	old, known := c.ns.Sysctls[c.key]
	undo := ""
	if known {
		undo = fmt.Sprintf("echo '%s' > %s", old, path)
		if c.key == "net/ipv4/ip_forward" { // it sets and resets others
			undo = fmt.Sprintf("echo 0 > %s; echo 1 > %s", path, path)
		}
	}
	if known && strings.Join(strings.Fields(old), " ") == c.value {
		return Mutation{}, false
	}
	parts := strings.Split(c.key, "/")
	place := words(append(g.who(c.ns), parts[len(parts)-1]))
	if parts[len(parts)-1] == "forwarding" && dev == "all" { // the same thing (net/ipv4/devinet.c: devinet_sysctl_forward)
		place = append(place, []string{"ip_forward"})
	}
	return Mutation{Kind: "sysctl " + parts[len(parts)-1], Netns: c.ns.ID, Do: fmt.Sprintf("test -e %s && echo '%s' > %s", path, c.value, path), Undo: undo, Place: place}, true
}

// file writes a file of a container's, as the engine keeps it, or of the host.
func (g *gen) file(kind, path, old, text string, place ...[]string) (Mutation, bool) {
	if path == "" || old == text {
		return Mutation{}, false
	}
	write := func(s string) string { return fmt.Sprintf("cat > %s <<'END'\n%sEND\n", path, s) }
	undo := write(old)
	if old != "" && !strings.HasSuffix(old, "\n") {
		undo = ""
	}
	if text == "" {
		return Mutation{Kind: kind, Netns: g.host.ID, Do: ": > " + path, Undo: undo, Place: place}, true
	}
	return Mutation{Kind: kind, Netns: g.host.ID, Do: write(text), Undo: undo, Place: place}, true
}

func resolvConf(g *gen) (Mutation, bool) {
	t := g.target()
	owner, path := t.c.Ref, t.c.ResolvConfPath
	place := []string{t.c.Name, "resolv.conf"}
	if g.chance(20) {
		owner, path, place = "host", "/etc/resolv.conf", []string{"host", "resolv.conf"}
	}
	r := g.s.Resolver(owner)
	if r == nil {
		return Mutation{}, false
	}
	old := r.ResolvConf.Raw
	server := pick(g, "127.0.0.53", "198.51.100.99", "198.51.100.20", "198.51.100.53", t.ep.IPv4.Addr().String(), "203.0.113.53", "127.0.0.1", "fe80::1")
	text := pick(g,
		"", "# nothing\n", "nameserver "+server+"\n", "nameserver "+server+"\n", "nameserver "+server+"\n"+old,
		old+"nameserver "+server+"\n", "search example.org\n"+old, old+"options ndots:5\n", old+"options use-vc\n", "nameserver\n", "nameservr 198.51.100.53\n",
		"options timeout:1 attempts:1\n"+old, strings.ReplaceAll(old, "nameserver", "#nameserver"))
	alt := append([]string{}, place[:1]...)
	return g.file("resolv.conf", path, old, text, place, append(alt, server))
}

func hostsFile(g *gen) (Mutation, bool) {
	t := g.target()
	o := g.other(t)
	r := g.s.Resolver(t.c.Ref)
	if r == nil || t.c.HostsPath == "" {
		return Mutation{}, false
	}
	wrong := pick(g, "10.9.9.9", "127.0.0.1", t.ep.IPv4.Addr().String(), o.ep.IPv4.Addr().String())
	text := pick(g,
		r.HostsRaw+fmt.Sprintf("%s %s\n", wrong, o.c.Name), r.HostsRaw+fmt.Sprintf("%s www.example.org www.example.test\n", wrong),
		"", r.HostsRaw+"# a remark\n", fmt.Sprintf("%s %s\n", wrong, o.c.Name)+r.HostsRaw)
	return g.file("hosts file", t.c.HostsPath, r.HostsRaw, text, []string{t.c.Name, "hosts"})
}

// process stops or ends the first process of a container; where an engine can
// be asked, it is.
func process(g *gen) (Mutation, bool) {
	t := g.target()
	if t.c.Engine == "docker" {
		do := pick(g, [2]string{"docker pause %s", "docker unpause %s"}, [2]string{"docker stop -t 0 %s", "docker start %s"}, [2]string{"docker network disconnect -f " + t.net.Name + " %s", ""})
		m := Mutation{Kind: strings.Join(strings.Fields(do[0])[:2], " "), Netns: g.host.ID, Do: fmt.Sprintf(do[0], t.c.Name), Place: words([]string{t.c.Name})}
		if do[1] != "" {
			m.Undo = fmt.Sprintf(do[1], t.c.Name)
		}
		return m, true
	}
	if t.c.PID == 0 || g.persistent {
		return Mutation{}, false
	}
	return Mutation{Kind: "process ended", Netns: g.host.ID, Do: fmt.Sprintf("kill -KILL %d", t.c.PID), Place: words([]string{t.c.Name})}, true
}
