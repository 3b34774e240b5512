package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// model builds snapshots by hand.
type model struct {
	t     testing.TB
	s     *snap.Snapshot
	macs  int
	names []string
	ns    map[string]*snap.Netns
}

func newModel(t testing.TB) *model {
	t.Helper()
	return &model{t: t, ns: map[string]*snap.Netns{}, s: &snap.Snapshot{Host: snap.Host{Netns: "host"}, Taken: snap.Window{End: time.Unix(1e9, 0)}}}
}

// netns is a namespace with its loopback device; class "" is a container's.
func (m *model) netns(id string, class snap.NetnsClass) *snap.Netns {
	if class == "" {
		class = snap.ClassContainer
	}
	n := &snap.Netns{ID: id, Class: class, Sysctls: map[string]string{"net/ipv4/ip_forward": "0"}}
	m.ns[id] = n
	m.names = append(m.names, id)
	m.add(id, snap.Link{Name: "lo", Kind: "loopback", Loopback: true, MTU: 65536})
	m.addr(id, "lo", "127.0.0.1/8")
	m.addr(id, "lo", "::1/128")
	return n
}

func (m *model) add(ns string, l snap.Link) *snap.Link {
	n := m.ns[ns]
	m.macs++
	l.Index, l.Up, l.LowerUp, l.PeerNSID = len(n.Links)+1, true, true, -1
	if l.MTU == 0 {
		l.MTU = 1500
	}
	if l.MAC == "" && !l.Loopback {
		l.MAC = fmt.Sprintf("02:00:00:00:00:%02x", m.macs)
	}
	n.Links = append(n.Links, l)
	return &n.Links[len(n.Links)-1]
}

func (m *model) link(ns, name string) *snap.Link {
	l := m.ns[ns].Link(name)
	if l == nil {
		m.t.Fatalf("no device %s in %s", name, ns)
	}
	return l
}

// veth joins two namespaces.
func (m *model) veth(a, an, b, bn string) {
	m.add(a, snap.Link{Name: an, Kind: "veth"})
	m.add(b, snap.Link{Name: bn, Kind: "veth"})
	x, y := m.link(a, an), m.link(b, bn)
	x.Peer, x.PeerNetns, y.Peer, y.PeerNetns = y.Index, b, x.Index, a
}

// bridge makes a bridge with its address; "" none.
func (m *model) bridge(ns, name, addr string) {
	m.add(ns, snap.Link{Name: name, Kind: "bridge", Bridge: &snap.Bridge{}})
	if addr != "" {
		m.addr(ns, name, addr)
	}
}

// port puts a device on a bridge.
func (m *model) port(ns, dev, br string) *snap.BridgePort {
	l := m.link(ns, dev)
	l.Master = m.link(ns, br).Index
	l.Port = &snap.BridgePort{State: snap.PortForwarding, Learning: true, Flood: true, McastFlood: true, BcastFlood: true}
	return l.Port
}

// addr gives a device an address with its connected and local routes.
func (m *model) addr(ns, dev, prefix string) {
	n, l, p := m.ns[ns], m.link(ns, dev), netip.MustParsePrefix(prefix)
	a := snap.Addr{Index: l.Index, Prefix: p, Scope: "global"}
	if p.Addr().IsLoopback() {
		a.Scope = "host"
	}
	if p.Addr().IsLinkLocalUnicast() {
		a.Scope = "link"
	}
	n.Addrs = append(n.Addrs, a)
	fam := snap.FamilyOf(p.Addr())
	r := snap.Route{Family: fam, Table: snap.TableLocal, Type: "local", Dst: netip.PrefixFrom(p.Addr(), p.Addr().BitLen()), Scope: "host", Protocol: "kernel", Oif: l.Index}
	if fam == snap.IPv4 {
		r.PrefSrc = p.Addr()
	}
	n.Routes = append(n.Routes, r)
	if p.Addr().IsLoopback() {
		r.Dst = p.Masked()
		n.Routes = append(n.Routes, r)
		return
	}
	r.Table, r.Type, r.Dst, r.Scope = snap.TableMain, "unicast", p.Masked(), "link"
	n.Routes = append(n.Routes, r)
}

// route adds a route in the words of ip(8): "default via 10.0.0.1 dev eth0
// table 99 metric 5", "blackhole 10.9.0.0/24".
func (m *model) route(ns, text string) *snap.Route {
	n := m.ns[ns]
	r := snap.Route{Table: snap.TableMain, Type: "unicast", Scope: "global", Protocol: "boot"}
	w := strings.Fields(text)
	if slices.Contains([]string{"blackhole", "unreachable", "prohibit", "throw"}, w[0]) {
		r.Type, w = w[0], w[1:]
	}
	num := func(s string) (x uint32) { fmt.Sscan(s, &x); return x }
	for i := 1; i+1 < len(w); i += 2 {
		switch w[i] {
		case "via":
			r.Gateway = netip.MustParseAddr(w[i+1])
		case "dev":
			r.Oif = m.link(ns, w[i+1]).Index
		case "table":
			r.Table = num(w[i+1])
		case "metric":
			r.Metric = num(w[i+1])
		case "src":
			r.PrefSrc = netip.MustParseAddr(w[i+1])
		case "mtu":
			r.MTU = int(num(w[i+1]))
		case "nhid":
			r.NHID = num(w[i+1])
		}
	}
	r.Family = snap.IPv4
	if strings.Contains(text, ":") {
		r.Family = snap.IPv6
	}
	switch {
	case w[0] == "default" && r.Family == snap.IPv4:
		r.Dst = netip.MustParsePrefix("0.0.0.0/0")
	case w[0] == "default":
		r.Dst = netip.MustParsePrefix("::/0")
	default:
		r.Dst = netip.MustParsePrefix(w[0])
	}
	if !r.Gateway.IsValid() {
		r.Scope = "link"
	}
	n.Routes = append(n.Routes, r)
	return &n.Routes[len(n.Routes)-1]
}

// listen opens sockets: "tcp 0.0.0.0:80".
func (m *model) listen(ns string, list ...string) {
	for _, s := range list {
		p, a, _ := strings.Cut(s, " ")
		ap := netip.MustParseAddrPort(a)
		m.ns[ns].Sockets = append(m.ns[ns].Sockets, snap.Socket{Proto: snap.Proto(p), Family: snap.FamilyOf(ap.Addr()), Local: ap})
	}
}

func (m *model) sysctl(ns, key, val string) { m.ns[ns].Sysctls[key] = val }

// chain adds a base chain in a table of its own; "nat" in typ makes it one.
func (m *model) chain(ns string, fam snap.Family, typ, hook string, prio int32, policy string, list ...snap.Exprs) *snap.Chain {
	n := m.ns[ns]
	t := snap.Table{System: snap.NFT, Family: fam, Name: fmt.Sprintf("t%d", len(n.Ruleset.Tables))}
	c := snap.Chain{Name: hook, Hook: hook, Type: typ, Priority: prio, Policy: policy}
	for i, e := range list {
		c.Rules = append(c.Rules, snap.Rule{Handle: uint64(i + 1), Num: i + 1, Exprs: e, Packets: -1, Bytes: -1})
	}
	t.Chains = []snap.Chain{c}
	n.Ruleset.Tables = append(n.Ruleset.Tables, t)
	return &n.Ruleset.Tables[len(n.Ruleset.Tables)-1].Chains[0]
}

func (m *model) world() *World {
	m.t.Helper()
	m.s.Netns = nil
	for _, id := range m.names {
		m.s.Netns = append(m.s.Netns, *m.ns[id])
	}
	return New(m.s)
}

// Rules in nft's expressions.

func verdict(v string) snap.Expr {
	return &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: v}}
}

func match(e snap.Expr, data ...byte) snap.Exprs {
	return snap.Exprs{e, &snap.Cmp{Sreg: 0, Op: "==", Data: data}}
}

func meta(key string) snap.Expr { return &snap.Meta{Key: key, Dreg: 0, Sreg: snap.NoReg} }

func nh(off, n int) snap.Expr {
	return &snap.Payload{Base: "nh", Offset: off, Len: n, Dreg: 0, Sreg: snap.NoReg}
}

func ip4(s string) []byte { a := netip.MustParseAddr(s).As4(); return a[:] }

// daddr, l4 and dport test the packet.
func daddr(s string) snap.Exprs { return match(nh(16, 4), ip4(s)...) }
func saddr(s string) snap.Exprs { return match(nh(12, 4), ip4(s)...) }
func l4(p byte) snap.Exprs      { return match(meta("l4proto"), p) }

func dport(p uint16) snap.Exprs {
	return match(&snap.Payload{Base: "th", Offset: 2, Len: 2, Dreg: 0, Sreg: snap.NoReg}, byte(p>>8), byte(p))
}

func ifname(key, name string) snap.Exprs {
	b := make([]byte, 16)
	copy(b, name)
	return match(meta(key), b...)
}

func join(list ...snap.Exprs) snap.Exprs { return slices.Concat(list...) }

// dnat and masq make mappings.
func dnat(ip string, port uint16) snap.Exprs {
	return snap.Exprs{
		&snap.Immediate{Dreg: 4, Data: ip4(ip)},
		&snap.Immediate{Dreg: 8, Data: []byte{byte(port >> 8), byte(port)}},
		&snap.Nat{Type: "dnat", Family: snap.IPv4, AddrMin: 4, AddrMax: snap.NoReg, ProtoMin: 8, ProtoMax: snap.NoReg, Flags: []string{"proto-specified"}},
	}
}

func masq() snap.Exprs { return snap.Exprs{&snap.Masq{ProtoMin: snap.NoReg, ProtoMax: snap.NoReg}} }

func drop() snap.Exprs   { return snap.Exprs{verdict("drop")} }
func accept() snap.Exprs { return snap.Exprs{verdict("accept")} }

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// tcp80 is the usual flow.
func tcp80(from, to string) Flow { return Flow{From: from, Dst: ip(to), Proto: snap.TCP, Dport: 80} }

// uplinked is a host that forwards, and its uplink to the internet.
func uplinked(t testing.TB) *model {
	t.Helper()
	m := newModel(t)
	m.netns("host", snap.ClassHost)
	m.netns("internet", snap.ClassOutside)
	m.sysctl("host", "net/ipv4/ip_forward", "1")
	m.sysctl("host", "net/bridge/bridge-nf-call-iptables", "1")
	m.veth("host", "eth0", "internet", "eth0")
	m.addr("host", "eth0", "192.0.2.2/24")
	m.addr("internet", "eth0", "192.0.2.1/24")
	m.addr("internet", "lo", "198.51.100.7/32")
	m.route("host", "default via 192.0.2.1 dev eth0")
	return m
}

// docker is a host with a bridge of two containers, another bridge with one,
// and an uplink to the internet.
func docker(t testing.TB) *model {
	t.Helper()
	m := uplinked(t)
	m.bridge("host", "br-app", "172.18.0.1/16")
	m.bridge("host", "br-data", "172.19.0.1/16")
	for _, c := range []struct{ name, br, addr, gw string }{
		{"web", "br-app", "172.18.0.2/16", "172.18.0.1"},
		{"client", "br-app", "172.18.0.3/16", "172.18.0.1"},
		{"db", "br-data", "172.19.0.2/16", "172.19.0.1"},
	} {
		m.netns(c.name, "")
		m.veth("host", "veth-"+c.name, c.name, "eth0")
		m.port("host", "veth-"+c.name, c.br)
		m.addr(c.name, "eth0", c.addr)
		m.route(c.name, "default via "+c.gw+" dev eth0")
		m.listen(c.name, "tcp 0.0.0.0:80", "udp 0.0.0.0:53")
	}
	m.listen("internet", "tcp 0.0.0.0:80", "udp 0.0.0.0:53")
	m.chain("host", snap.IPv4, "nat", "postrouting", 100, "accept",
		join(ifname("oifname", "eth0"), masq()))
	return m
}
