package driver

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func elements(dev, chain string) []snap.Element {
	return []snap.Element{fixups.DeviceVerdict(dev, "jump", chain)}
}

// protected says whether a container's address is closed to neighbours of the
// host that have a route to it.
func (n *Network) protected(v6 bool) bool {
	return !n.Net.Internal && n.mode(v6) == "nat"
}

// guard keeps the host's neighbours from reaching a container's address
// directly: none of their packets has been through DNAT yet in the raw table.
func (n *Network) guard(e *Env, ep *snap.Endpoint) []fixups.Op {
	var out []fixups.Op
	for _, ip := range []netip.Addr{ep.IPv4.Addr(), ep.IPv6.Addr()} {
		v6 := ip.Is6()
		if !ip.IsValid() || !n.protected(v6) || e.Gen == Docker20 {
			continue
		}
		if e.NFT() {
			w := &nft{at: e.Host, table: tableNFT, v6: v6}
			for _, t := range n.Trusted {
				w.add("raw-PREROUTING", w.ip(), "daddr", ip.String(), `iifname "`+t+`" counter accept comment "TRUSTED INTERFACE"`)
			}
			w.add("raw-PREROUTING", w.ip(), "daddr", ip.String(), `iifname != "`+n.Net.Bridge+`" counter drop comment "DROP DIRECT ACCESS"`)
			out = append(out, w.ops...)
			continue
		}
		w := &ipt{env: e, at: e.Host, v6: v6}
		for _, t := range n.Trusted {
			w.add("raw", "PREROUTING", "-d "+full(ip)+" -i "+t, "ACCEPT")
		}
		w.add("raw", "PREROUTING", "-d "+full(ip)+" ! -i "+n.Net.Bridge, "DROP")
		out = append(out, w.ops...)
	}
	return out
}

// families says for which families a published port gets rules: that of its
// host address, where the container has an address of it.
func (n *Network) families(ep *snap.Endpoint, p *snap.Port) (v4, v6 bool) {
	any6 := p.HostIP.Is6() && p.HostIP.IsUnspecified()
	v4 = ep.IPv4.IsValid() && (!p.HostIP.IsValid() || p.HostIP.Is4())
	v6 = ep.IPv6.IsValid() && (p.HostIP.Is6() || any6)
	return v4, v6
}

// Rules says how many rules a network's published ports have in the chain of
// packets that come in; new ones follow behind them.
func (n *Network) Rules(ep *snap.Endpoint, ports []snap.Port, v6 bool) int {
	c := 0
	for i := range ports {
		v4, six := n.families(ep, &ports[i])
		if v6 && six || !v6 && v4 {
			c++
		}
	}
	return c
}

// Publish are the rules of published ports. before is how many rules of such
// ports the network has already, for IPv4 and for IPv6.
func Publish(e *Env, n *Network, ep *snap.Endpoint, ports []snap.Port, before [2]int) []fixups.Op {
	if n.Net.Internal || n.Net.Driver != "bridge" {
		return nil // ignored there, as Docker does
	}
	var out []fixups.Op
	for i := range ports {
		p := &ports[i]
		v4, v6 := n.families(ep, p)
		if v4 {
			out = append(out, n.port(e, ep.IPv4.Addr(), p, before[0])...)
			before[0]++
		}
		if v6 && e.Gen != Docker20 {
			out = append(out, n.port(e, ep.IPv6.Addr(), p, before[1])...)
			before[1]++
		}
	}
	return out
}

func (n *Network) port(e *Env, ip netip.Addr, p *snap.Port, before int) []fixups.Op {
	switch {
	case e.NFT():
		return n.portNFT(e, ip, p, before)
	case e.Gen == Docker20:
		return n.port20(e, ip, p)
	}
	return n.port29(e, ip, p)
}

// hostIP is the address that a rule tests for, zero for any.
func hostIP(p *snap.Port) netip.Addr {
	if !p.HostIP.IsValid() || p.HostIP.IsUnspecified() {
		return netip.Addr{}
	}
	return p.HostIP
}

// natted says whether the network's ports are reached by DNAT.
func (n *Network) natted(v6 bool) bool { m := n.mode(v6); return m == "nat" || m == "nat-unprotected" }

func dport(p *snap.Port, port uint16) string {
	return fmt.Sprintf("-p %s -m %s --dport %d", p.Proto, p.Proto, port)
}

func (n *Network) dnat(w *ipt, ip netip.Addr, p *snap.Port) {
	m := ""
	if h := hostIP(p); h.IsValid() {
		m = "-d " + full(h) + " "
	}
	if w.v6 {
		m = "! -s fe80::/10 " + m
	}
	if w.env.Proxy {
		m += "! -i " + n.Net.Bridge + " "
	}
	w.add("nat", prefix, m+dport(p, p.HostPort), "DNAT --to-destination "+netip.AddrPortFrom(ip, p.ContainerPort).String())
}

func (n *Network) port29(e *Env, ip netip.Addr, p *snap.Port) []fixups.Op {
	w := &ipt{env: e, at: e.Host, v6: ip.Is6()}
	br := n.Net.Bridge
	if n.natted(w.v6) {
		n.dnat(w, ip, p)
	}
	w.insert("filter", prefix, "-d "+full(ip)+" ! -i "+br+" -o "+br+" "+dport(p, p.ContainerPort), "ACCEPT")
	if !n.natted(w.v6) {
		return w.ops
	}
	if !e.Proxy {
		w.add("nat", "POSTROUTING", "-s "+full(ip)+" -d "+full(ip)+" "+dport(p, p.ContainerPort), "MASQUERADE")
	}
	if h := hostIP(p); h.IsLoopback() && h.Is4() {
		w.add("raw", "PREROUTING", "-d "+full(h)+" ! -i lo "+dport(p, p.HostPort), "DROP")
	}
	return w.ops
}

func (n *Network) port20(e *Env, ip netip.Addr, p *snap.Port) []fixups.Op {
	w := &ipt{env: e, at: e.Host}
	br := n.Net.Bridge
	n.dnat(w, ip, p)
	w.add("filter", prefix, "-d "+full(ip)+" ! -i "+br+" -o "+br+" "+dport(p, p.ContainerPort), "ACCEPT")
	w.add("nat", "POSTROUTING", "-s "+full(ip)+" -d "+full(ip)+" "+dport(p, p.ContainerPort), "MASQUERADE")
	return w.ops
}

func (n *Network) portNFT(e *Env, ip netip.Addr, p *snap.Port, before int) []fixups.Op {
	w := &nft{at: e.Host, table: tableNFT, v6: ip.Is6()}
	br := n.Net.Bridge
	at := 3 + before // behind the rule of connections and that of the network's own
	if n.mode(w.v6) == "routed" {
		at++
	}
	if n.mode(w.v6) != "nat-unprotected" {
		w.rule("filter-forward-in__"+br, at, fmt.Sprintf("%s daddr %s %s dport %d counter accept", w.ip(), ip, p.Proto, p.ContainerPort))
	}
	if !n.natted(w.v6) {
		return w.ops
	}
	m := ""
	if e.Proxy {
		m = `iifname != "` + br + `" `
	}
	h := hostIP(p)
	if w.v6 {
		m += "ip6 saddr != fe80::/10 "
	}
	if h.IsValid() {
		m += fmt.Sprintf("%s daddr %s ", w.ip(), h)
	}
	w.add("nat-prerouting-and-output", fmt.Sprintf(`%s%s dport %d counter dnat to %s comment "DNAT"`, m, p.Proto, p.HostPort, netip.AddrPortFrom(ip, p.ContainerPort)))
	if !e.Proxy {
		w.add("nat-postrouting-in__"+br, fmt.Sprintf(`%s saddr %s %s daddr %s %s dport %d counter masquerade comment "MASQ TO OWN PORT"`, w.ip(), ip, w.ip(), ip, p.Proto, p.ContainerPort))
	}
	if h.IsLoopback() && h.Is4() {
		w.add("raw-PREROUTING", fmt.Sprintf(`iifname != "lo" ip daddr %s %s dport %d counter drop comment "DROP REMOTE LOOPBACK"`, h, p.Proto, p.HostPort))
	}
	return w.ops
}
