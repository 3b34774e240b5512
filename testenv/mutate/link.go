package mutate

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// device chooses a device and says who has it: a container's eth0 or lo, the
// host's end, a bridge, the uplink.
func (g *gen) device(lo bool) (*snap.Netns, *snap.Link, []string) {
	t := g.target()
	kinds := []string{"eth", "veth", "veth", "bridge", "bridge", "uplink"}
	if lo {
		kinds = append(kinds, "lo")
	}
	switch pick(g, kinds...) {
	case "eth":
		return t.ns, t.eth, []string{t.c.Name, t.eth.Name}
	case "lo":
		if l := t.ns.Link("lo"); l != nil {
			return t.ns, l, []string{t.c.Name, "lo"}
		}
	case "veth":
		return g.host, t.veth, []string{t.veth.Name}
	case "uplink":
		if l := g.uplink(); l != nil {
			return g.host, l, []string{l.Name}
		}
	}
	return g.host, t.bridge, []string{t.bridge.Name}
}

// restored are the lines that give a device back what the kernel takes from it
// when it goes down: routes, and IPv6 addresses.
func restored(ns *snap.Netns, l *snap.Link) string {
	var b strings.Builder
	for _, a := range ns.AddrsOf(l.Index) {
		if ip := a.Prefix.Addr(); ip.Is6() && !ip.IsLinkLocalUnicast() {
			fmt.Fprintf(&b, "ip -6 addr replace %s dev %s nodad\n", a.Prefix, l.Name)
		}
	}
	for i := range ns.Routes {
		r := &ns.Routes[i]
		if r.Oif == l.Index && r.Type == "unicast" && r.Protocol != "kernel" {
			fmt.Fprintf(&b, "ip route replace %s\n", routeText(ns, r))
		}
	}
	return b.String()
}

func linkDown(g *gen) (Mutation, bool) {
	ns, l, place := g.device(true)
	return Mutation{
		Kind: "link down", Netns: ns.ID, Do: "ip link set " + l.Name + " down",
		Undo: "ip link set " + l.Name + " up\n" + restored(ns, l), Place: words(place),
	}, true
}

func linkMTU(g *gen) (Mutation, bool) {
	ns, l, place := g.device(false)
	n := pick(g, 576, 1000, 1280, 1400, 1450, 2000, 9000)
	return Mutation{
		Kind: "link mtu", Netns: ns.ID, Do: fmt.Sprintf("ip link set %s mtu %d", l.Name, n),
		Undo: fmt.Sprintf("ip link set %s mtu %d", l.Name, l.MTU), Place: words(append(place, fmt.Sprint(n))),
	}, true
}

func linkMaster(g *gen) (Mutation, bool) {
	t := g.target()
	m := Mutation{
		Kind: "link master", Netns: g.host.ID, Do: "ip link set " + t.veth.Name + " nomaster",
		Undo: "ip link set " + t.veth.Name + " master " + t.bridge.Name, Place: words([]string{t.veth.Name}),
	}
	for _, o := range g.on {
		if o.bridge != t.bridge && g.chance(50) {
			m.Do = "ip link set " + t.veth.Name + " master " + o.bridge.Name
			break
		}
	}
	return m, true
}

func linkMAC(g *gen) (Mutation, bool) {
	ns, l, place := g.device(false)
	mac := fmt.Sprintf("02:00:00:00:00:%02x", g.r.IntN(256))
	if g.chance(30) { // somebody else's
		mac = g.target().eth.MAC
	}
	if l.MAC == mac {
		return Mutation{}, false
	}
	return Mutation{
		Kind: "link mac", Netns: ns.ID, Do: "ip link set " + l.Name + " address " + mac,
		Undo: "ip link set " + l.Name + " address " + l.MAC, Place: words(place, []string{mac}),
	}, true
}

func linkGone(g *gen) (Mutation, bool) {
	t := g.target()
	if g.chance(50) {
		return Mutation{Kind: "link deleted", Netns: g.host.ID, Do: "ip link del " + t.bridge.Name, Place: words([]string{t.bridge.Name})}, true
	}
	return Mutation{Kind: "link deleted", Netns: g.host.ID, Do: "ip link del " + t.veth.Name, Place: words([]string{t.c.Name, t.ep.IPv4.Addr().String()}, []string{t.c.Name, t.net.Name}, []string{t.veth.Name})}, true
}

func portFlag(g *gen) (Mutation, bool) {
	t := g.target()
	f := pick(g,
		[3]string{"isolated", "on", "off"}, [3]string{"isolated", "on", "off"}, [3]string{"hairpin", "on", "off"}, [3]string{"learning", "off", "on"},
		[3]string{"flood", "off", "on"}, [3]string{"bcast_flood", "off", "on"}, [3]string{"mcast_flood", "off", "on"}, [3]string{"guard", "on", "off"},
		[3]string{"state", "0", "3"}, [3]string{"state", "4", "3"}, [3]string{"state", "1", "3"}, [3]string{"locked", "on", "off"}, [3]string{"neigh_suppress", "on", "off"})
	if f[0] == "hairpin" && t.veth.Port != nil && t.veth.Port.Hairpin {
		f[1], f[2] = "off", "on"
	}
	do := fmt.Sprintf("bridge link set dev %s %s %s", t.veth.Name, f[0], f[1])
	undo := fmt.Sprintf("bridge link set dev %s %s %s", t.veth.Name, f[0], f[2])
	if f[0] == "isolated" { // two of them no more hear each other; one alone hears all others
		o := g.other(t)
		do += fmt.Sprintf("; bridge link set dev %s isolated on", o.veth.Name)
		undo += fmt.Sprintf("; bridge link set dev %s isolated off", o.veth.Name)
	}
	return Mutation{Kind: "port " + f[0], Netns: g.host.ID, Do: do, Undo: undo, Place: words([]string{t.veth.Name})}, true
}

func portVLAN(g *gen) (Mutation, bool) {
	t := g.target()
	on := fmt.Sprintf("ip link set %s type bridge vlan_filtering 1", t.bridge.Name)
	off := fmt.Sprintf("ip link set %s type bridge vlan_filtering 0", t.bridge.Name)
	switch g.r.IntN(3) {
	case 0:
		return Mutation{Kind: "vlan filtering", Netns: g.host.ID, Do: on, Undo: off, Place: words([]string{t.bridge.Name, "vlan"})}, true
	case 1:
		return Mutation{
			Kind: "port vlan", Netns: g.host.ID, Do: on + fmt.Sprintf("; bridge vlan del dev %s vid 1", t.veth.Name),
			Undo: fmt.Sprintf("bridge vlan add dev %s vid 1 pvid untagged; ", t.veth.Name) + off, Place: words([]string{t.veth.Name}),
		}, true
	}
	return Mutation{
		Kind: "port vlan", Netns: g.host.ID, Do: on + fmt.Sprintf("; bridge vlan add dev %s vid 20 pvid untagged", t.veth.Name),
		Undo: fmt.Sprintf("bridge vlan del dev %s vid 20; bridge vlan add dev %s vid 1 pvid untagged; ", t.veth.Name, t.veth.Name) + off, Place: words([]string{t.veth.Name}),
	}, true
}

func neighbour(g *gen) (Mutation, bool) {
	t := g.target()
	o := g.other(t)
	mac := fmt.Sprintf("02:00:00:00:00:%02x", g.r.IntN(256))
	ns, dev, ip := t.ns, t.eth.Name, t.ep.Gateway4
	switch {
	case g.chance(40):
		ns, dev, ip = g.host, t.bridge.Name, t.ep.IPv4.Addr()
	case o.c != t.c && g.chance(40):
		ip = o.ep.IPv4.Addr()
	}
	if !ip.IsValid() {
		return Mutation{}, false
	}
	return Mutation{
		Kind: "neighbour", Netns: ns.ID, Do: fmt.Sprintf("ip neigh replace %s lladdr %s dev %s nud permanent", ip, mac, dev),
		Undo: fmt.Sprintf("ip neigh del %s dev %s", ip, dev), Place: words([]string{ip.String(), mac}),
	}, true
}

func forwarding(g *gen) (Mutation, bool) {
	t := g.target()
	o := g.other(t)
	if o.c == t.c {
		return Mutation{}, false
	}
	return Mutation{
		Kind: "fdb", Netns: g.host.ID, Do: fmt.Sprintf("bridge fdb replace %s dev %s master static", t.eth.MAC, o.veth.Name),
		Undo: fmt.Sprintf("bridge fdb del %s dev %s master", t.eth.MAC, o.veth.Name), Place: words([]string{t.eth.MAC}),
	}, true
}

func queue(g *gen) (Mutation, bool) {
	ns, l, place := g.device(false)
	q := pick(g, "netem loss 100%", "netem delay 3s", "tbf rate 8bit burst 100b limit 200b", "netem loss 0.01%")
	return Mutation{
		Kind: "qdisc", Netns: ns.ID, Do: fmt.Sprintf("tc qdisc replace dev %s root %s", l.Name, q),
		Undo: fmt.Sprintf("tc qdisc del dev %s root", l.Name), Place: words(append(place, strings.Fields(q)[0])),
	}, true
}
