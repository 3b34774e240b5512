package names

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// jump, dnat and match write rules as nft lists them.
func jump(chain string) snap.Expr {
	return &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "jump", Chain: chain}}
}

func daddr(a string) []snap.Expr {
	return []snap.Expr{
		&snap.Payload{Base: "nh", Offset: 16, Len: 4, Dreg: 4, Sreg: snap.NoReg},
		&snap.Cmp{Sreg: 4, Op: "==", Data: addr(a).AsSlice()},
	}
}

func dport53(proto uint8) []snap.Expr {
	return []snap.Expr{
		&snap.Meta{Key: "l4proto", Dreg: 4, Sreg: snap.NoReg},
		&snap.Cmp{Sreg: 4, Op: "==", Data: []byte{proto}},
		&snap.Payload{Base: "th", Offset: 2, Len: 2, Dreg: 4, Sreg: snap.NoReg},
		&snap.Cmp{Sreg: 4, Op: "==", Data: []byte{0, 53}},
	}
}

func dnatTo(a string, port uint16) []snap.Expr {
	return []snap.Expr{
		&snap.Immediate{Dreg: 4, Data: addr(a).AsSlice()},
		&snap.Immediate{Dreg: 5, Data: binary.BigEndian.AppendUint16(nil, port)},
		&snap.Nat{Type: "dnat", Family: snap.IPv4, AddrMin: 4, AddrMax: snap.NoReg, ProtoMin: 5, ProtoMax: snap.NoReg},
	}
}

func rule(num int, parts ...[]snap.Expr) snap.Rule {
	r := snap.Rule{Num: num, Handle: uint64(num), Packets: -1, Bytes: -1}
	for _, p := range parts {
		r.Exprs = append(r.Exprs, p...)
	}
	return r
}

// resolverRules are what Docker writes into a sandbox.
func resolverRules(port uint16) snap.Ruleset {
	return snap.Ruleset{Tables: []snap.Table{{
		System: snap.IPTablesNFT, Family: snap.IPv4, Name: "nat", Chains: []snap.Chain{
			{Name: "OUTPUT", Hook: "output", Type: "nat", Priority: -100, Policy: "accept", Rules: []snap.Rule{
				rule(1, daddr("127.0.0.11"), []snap.Expr{jump("DOCKER_OUTPUT")}),
			}},
			{Name: "DOCKER_OUTPUT", Rules: []snap.Rule{
				rule(1, daddr("127.0.0.11"), dport53(6), dnatTo("127.0.0.11", port+1)),
				rule(2, daddr("127.0.0.11"), dport53(17), dnatTo("127.0.0.11", port)),
			}},
		},
	}}}
}

func lo() snap.Link {
	return snap.Link{Index: 1, Name: "lo", Kind: "loopback", Up: true, LowerUp: true, Loopback: true}
}

func conf(servers ...string) snap.ResolvConf {
	rc := snap.ResolvConf{Exists: true, Ndots: 1, TimeoutS: 5, Attempts: 2, Nameservers: []netip.Addr{}, Search: []string{}, Options: []string{}}
	for _, s := range servers {
		rc.Nameservers = append(rc.Nameservers, addr(s))
		rc.Raw += "nameserver " + s + "\n"
	}
	return rc
}

// docker adds a container; networks as "app=172.30.1.11".
func docker(s *snap.Snapshot, name string, pid int, eps ...snap.Endpoint) {
	id := ("0123456789abcdef" + name + "0123456789abcdef")[16:]
	c := snap.Container{
		Ref: "docker:" + name, Engine: "docker", ID: id, Name: name, State: "running", PID: pid, Netns: name,
		Hostname: id[:12], NetworkMode: eps[0].Network, Endpoints: eps,
	}
	s.Containers = append(s.Containers, c)
	ns := snap.Netns{
		ID: name, Inode: uint64(pid), Path: "/proc/" + strconv.Itoa(pid) + "/ns/net", Class: snap.ClassContainer,
		Containers: []string{c.Ref}, Links: []snap.Link{lo(), {Index: 2, Name: "eth0", Up: true}},
		Addrs: []snap.Addr{{Index: 1, Prefix: netip.MustParsePrefix("127.0.0.1/8")}, {Index: 2, Prefix: eps[0].IPv4}},
	}
	r := snap.Resolver{Owner: c.Ref, Netns: name, ResolvConf: conf("198.51.100.53"), Hosts: []snap.HostsLine{
		{Line: 1, Addr: addr("127.0.0.1"), Names: []string{"localhost"}},
		{Line: 2, Addr: addr("::1"), Names: []string{"localhost", "ip6-localhost"}},
		{Line: 7, Addr: eps[0].IPv4.Addr(), Names: []string{id[:12]}},
	}}
	if eps[0].Network != "bridge" {
		ns.Ruleset = resolverRules(uint16(30000 + pid))
		ns.Sockets = []snap.Socket{{
			Proto: snap.UDP, Family: snap.IPv4, Local: netip.AddrPortFrom(addr("127.0.0.11"), uint16(30000+pid)),
			Process: &snap.Process{PID: 90, Name: "dockerd", State: "S", Netns: "host"},
		}}
		r.ResolvConf = conf("127.0.0.11")
		r.ResolvConf.Options, r.ResolvConf.Ndots = []string{"ndots:0"}, 0
	}
	s.Netns = append(s.Netns, ns)
	s.Resolvers = append(s.Resolvers, r)
}

func on(network, prefix string, aliases ...string) snap.Endpoint {
	return snap.Endpoint{Network: network, NetworkID: network + "-id", IPv4: netip.MustParsePrefix(prefix), Aliases: aliases}
}

// lab is a small host: client, web and db on network app, lonely on other,
// plain and plain2 on the default bridge, gone (exited) on app.
func lab() *snap.Snapshot {
	s := &snap.Snapshot{Schema: 1, Host: snap.Host{Name: "labhost", Netns: "host"}}
	s.Netns = []snap.Netns{{
		ID: "host", Class: snap.ClassHost, Links: []snap.Link{lo(), {Index: 2, Name: "eth0", Up: true}, {Index: 3, Name: "br-app", Up: true}},
		Addrs: []snap.Addr{
			{Index: 2, Prefix: netip.MustParsePrefix("192.168.50.10/24")},
			{Index: 3, Prefix: netip.MustParsePrefix("172.30.1.1/24")},
			{Index: 4, Prefix: netip.MustParsePrefix("172.17.0.1/16")},
		},
	}}
	s.Engines = []snap.Engine{{Name: "docker", Version: "20.10.24", Reachable: true, PID: 90}}
	s.Networks = []snap.Network{
		{Ref: "docker:app", Engine: "docker", ID: "app-id", Name: "app", Driver: "bridge", DNS: true, ICC: true},
		{Ref: "docker:other", Engine: "docker", ID: "other-id", Name: "other", Driver: "bridge", DNS: true, ICC: true},
		{Ref: "docker:bridge", Engine: "docker", ID: "bridge-id", Name: "bridge", Driver: "bridge", Default: true, ICC: true},
	}
	s.Resolvers = []snap.Resolver{{Owner: "host", Netns: "host", Source: "/etc/resolv.conf", ResolvConf: conf("198.51.100.53"), Libc: "glibc", Hosts: []snap.HostsLine{
		{Line: 1, Addr: addr("127.0.0.1"), Names: []string{"localhost"}}, {Line: 2, Addr: addr("192.168.50.10"), Names: []string{"labhost"}},
	}}}
	docker(s, "client", 101, on("app", "172.30.1.11/24"))
	docker(s, "web", 102, on("app", "172.30.1.12/24"))
	docker(s, "db", 103, on("app", "172.30.1.13/24", "database"))
	docker(s, "lonely", 104, on("other", "172.30.2.11/24"))
	docker(s, "plain", 105, on("bridge", "172.17.0.2/16"))
	docker(s, "plain2", 106, on("bridge", "172.17.0.3/16"))
	s.Containers = append(s.Containers, snap.Container{
		Ref: "docker:gone", Engine: "docker", ID: "ffffffffffffffff", Name: "gone", State: "exited", NetworkMode: "app",
		Endpoints: []snap.Endpoint{{Network: "app", NetworkID: "app-id", Aliases: []string{"left"}}},
	})
	return s
}

func resolver(s *snap.Snapshot, owner string) *snap.Resolver { return s.Resolver("docker:" + owner) }

// asked adds a live answer: "timeout", "refused", an RCODE, or an address.
func asked(s *snap.Snapshot, from, server, name, answer string) {
	p := snap.Probe{
		ID: len(s.Probes) + 1, Kind: "dns", From: from, Dst: netip.AddrPortFrom(addr(server), 53), Outcome: "answered",
		DNS: &snap.DNSProbe{Name: name + ".", Type: "A", Answers: []string{}},
	}
	if _, err := netip.ParseAddr(answer); err == nil {
		p.DNS.RCode, p.DNS.Answers = "NOERROR", []string{"A " + answer}
	} else if answer == "timeout" || answer == "refused" {
		p.Outcome = answer
	} else {
		p.DNS.RCode = answer
	}
	s.Probes = append(s.Probes, p)
}
