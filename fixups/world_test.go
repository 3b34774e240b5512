package fixups_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func ip(s string) netip.Addr    { return netip.MustParseAddr(s) }

// world is a host with one bridge network, two containers on it, one that is
// paused and one that has ended, and a few rules of every system.
func world(t *testing.T) *snap.Snapshot {
	t.Helper()
	port := func(no uint16) *snap.BridgePort {
		return &snap.BridgePort{State: snap.PortForwarding, Learning: true, Flood: true, McastFlood: true, BcastFlood: true, Priority: 32, Cost: 2, No: no}
	}
	host := snap.Netns{
		ID: "host", Inode: 1, Path: "/proc/1/ns/net", Pids: []int{1}, Class: snap.ClassHost, NSIDs: map[int]string{0: "web", 1: "blue"},
		Links: []snap.Link{
			{Index: 1, Name: "lo", Kind: "loopback", MTU: 65536, Loopback: true, Up: true, LowerUp: true, Running: true, OperState: "unknown", PeerNSID: -1},
			{Index: 2, Name: "eth0", MAC: "02:00:00:00:00:02", MTU: 1500, Broadcast: true, Up: true, LowerUp: true, Running: true, OperState: "up", PeerNSID: -1, Qdiscs: []snap.Qdisc{{Kind: "tbf", Handle: 0x10000, Parent: 0xffffffff, RateBps: 1000, BurstBytes: 2000, LimitBytes: 3000}}},
			{Index: 3, Name: "br-app", Kind: "bridge", MAC: "02:00:00:00:00:03", MTU: 1500, Broadcast: true, Up: true, LowerUp: true, Running: true, OperState: "up", PeerNSID: -1, Bridge: &snap.Bridge{DefaultPVID: 1, ForwardDelayMs: 15000, AgeingMs: 300000, McastSnooping: true}},
			{Index: 4, Name: "veth1", Kind: "veth", MAC: "02:00:00:00:00:04", MTU: 1500, Broadcast: true, Up: true, LowerUp: true, Running: true, OperState: "up", Master: 3, Peer: 2, PeerNSID: 0, PeerNetns: "web", Port: port(1)},
			{Index: 5, Name: "veth2", Kind: "veth", MAC: "02:00:00:00:00:05", MTU: 1500, Broadcast: true, Up: true, LowerUp: true, Running: true, OperState: "up", Master: 3, Peer: 2, PeerNSID: 1, PeerNetns: "blue", Port: port(2)},
		},
		Vlans: []snap.BridgeVlan{{Index: 3, VID: 1, PVID: true, Untagged: true}, {Index: 4, VID: 1, PVID: true, Untagged: true}, {Index: 5, VID: 1, PVID: true, Untagged: true}},
		Sysctls: map[string]string{
			"net/ipv4/ip_forward": "0", "net/ipv4/conf/all/forwarding": "0", "net/ipv4/conf/default/forwarding": "0", "net/ipv4/conf/eth0/forwarding": "0",
			"net/ipv4/conf/br-app/forwarding": "1", "net/ipv4/conf/eth0.5/rp_filter": "1", "net/ipv6/conf/all/forwarding": "0",
		},
		Conntrack: []snap.Conn{{Family: snap.IPv4, Proto: 17, Orig: snap.Tuple{Src: netip.MustParseAddrPort("192.0.2.9:5000"), Dst: netip.MustParseAddrPort("192.0.2.2:5300")}}},
	}
	web := snap.Netns{
		ID: "web", Inode: 2, Path: "/proc/100/ns/net", Pids: []int{100}, Class: snap.ClassContainer, NSIDs: map[int]string{0: "host"},
		Links: []snap.Link{
			{Index: 1, Name: "lo", Kind: "loopback", MTU: 65536, Loopback: true, Up: true, LowerUp: true, Running: true, OperState: "unknown", PeerNSID: -1},
			{Index: 2, Name: "eth0", Kind: "veth", MAC: "02:00:00:00:00:12", MTU: 1500, Broadcast: true, Up: true, LowerUp: true, Running: true, OperState: "up", Peer: 4, PeerNSID: 0, PeerNetns: "host"},
		},
		Neighs:  []snap.Neigh{{Index: 2, IP: ip("172.30.1.1"), MAC: "02:00:00:00:00:99", State: "permanent"}},
		Sysctls: map[string]string{"net/ipv6/conf/eth0/disable_ipv6": "0", "net/ipv6/conf/all/disable_ipv6": "0"},
	}
	blue := snap.Netns{
		ID: "blue", Inode: 3, Path: "/run/netns/blue", Names: []string{"blue"}, Class: snap.ClassAttached, NSIDs: map[int]string{0: "host"},
		Links: []snap.Link{
			{Index: 1, Name: "lo", Kind: "loopback", MTU: 65536, Loopback: true, OperState: "down", PeerNSID: -1},
			{Index: 2, Name: "eth0", Kind: "veth", MTU: 1500, Broadcast: true, Up: true, LowerUp: true, Running: true, OperState: "up", Peer: 5, PeerNSID: 0, PeerNetns: "host"},
		},
		Sysctls: map[string]string{},
	}
	for _, n := range []*snap.Netns{&host, &web, &blue} {
		for _, prio := range []uint32{0, 32766, 32767} {
			n.Rules = append(n.Rules, snap.PolicyRule{Family: snap.IPv4, Priority: prio, Action: "table", Table: map[uint32]uint32{0: 255, 32766: 254, 32767: 253}[prio], SuppressPrefixLen: -1, SuppressIfgroup: -1})
		}
	}
	host.Ruleset = ruleset()
	s := &snap.Snapshot{
		Schema: 1, Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{host, web, blue},
		Containers: []snap.Container{
			{
				Ref: "docker:web", Engine: "docker", ID: "w1", Name: "web", State: "running", PID: 100, Netns: "web", Process: &snap.Process{PID: 100, Name: "nginx", State: "T", Frozen: true, FrozenBy: []string{"/sys/fs/cgroup/app/cgroup.freeze"}},
				Endpoints: []snap.Endpoint{{Network: "app", NetworkID: "n1", IPv4: pfx("172.30.1.12/24"), Gateway4: ip("172.30.1.1"), Link: "eth0", HostLink: "veth1", DNSNames: []string{"web"}}},
			},
			{Ref: "docker:cache", Engine: "docker", ID: "c1", Name: "cache", State: "paused", Endpoints: []snap.Endpoint{}},
			{Ref: "docker:db", Engine: "docker", ID: "d1", Name: "db", State: "exited", Endpoints: []snap.Endpoint{}},
		},
		Networks: []snap.Network{
			{Ref: "docker:app", Engine: "docker", ID: "n1", Name: "app", Driver: "bridge", Bridge: "br-app", DNS: true, Pools: []snap.Pool{{Subnet: pfx("172.30.1.0/24"), Gateway: ip("172.30.1.1")}}},
			{Ref: "docker:other", Engine: "docker", ID: "n2", Name: "other", Driver: "bridge", Bridge: "br-app", DNS: true, Pools: []snap.Pool{{Subnet: pfx("172.30.2.0/24"), Gateway: ip("172.30.2.1")}}},
		},
		Resolvers: []snap.Resolver{{
			Owner: "docker:web", Netns: "web", Hosts: []snap.HostsLine{{Line: 1, Addr: ip("127.0.0.1"), Names: []string{"localhost"}}},
			ResolvConf: snap.ResolvConf{Exists: true, Raw: "nameserver 127.0.0.11\n", Nameservers: []netip.Addr{ip("127.0.0.11")}, Search: []string{}, Options: []string{}, Ndots: 1, TimeoutS: 5, Attempts: 2},
		}},
		Gaps: []snap.Gap{},
	}
	do(t, s,
		&fixups.AddrAdd{Where: fixups.At(s, "host"), Dev: "lo", Addr: snap.Addr{Prefix: pfx("127.0.0.1/8"), Scope: "host"}},
		&fixups.AddrAdd{Where: fixups.At(s, "host"), Dev: "eth0", Addr: snap.Addr{Prefix: pfx("192.0.2.2/24"), Bcast: ip("192.0.2.255")}},
		&fixups.AddrAdd{Where: fixups.At(s, "host"), Dev: "eth0", Addr: snap.Addr{Prefix: pfx("192.0.2.3/24")}},
		&fixups.AddrAdd{Where: fixups.At(s, "host"), Dev: "br-app", Addr: snap.Addr{Prefix: pfx("172.30.1.1/24"), Bcast: ip("172.30.1.255")}},
		&fixups.RouteAdd{Where: fixups.At(s, "host"), Devs: []string{"eth0"}, Route: snap.Route{Dst: pfx("0.0.0.0/0"), Gateway: ip("192.0.2.1")}},
		&fixups.AddrAdd{Where: fixups.At(s, "web"), Dev: "eth0", Addr: snap.Addr{Prefix: pfx("172.30.1.12/24"), Bcast: ip("172.30.1.255")}},
		&fixups.AddrAdd{Where: fixups.At(s, "web"), Dev: "eth0", Addr: snap.Addr{Prefix: pfx("2001:db8:30::12/64"), Flags: []string{"nodad"}}},
		&fixups.RouteAdd{Where: fixups.At(s, "web"), Devs: []string{"eth0"}, Route: snap.Route{Dst: pfx("0.0.0.0/0"), Gateway: ip("172.30.1.1")}},
		&fixups.RouteAdd{Where: fixups.At(s, "web"), Devs: []string{"eth0"}, Route: snap.Route{Dst: pfx("::/0"), Gateway: ip("2001:db8:30::1")}},
	)
	w := s.Ns("web")
	w.Routes = append(w.Routes, snap.Route{
		Family: snap.IPv6, Table: snap.TableLocal, Type: "multicast", Dst: pfx("ff00::/8"), Scope: "global", Protocol: "kernel", Metric: 256, Oif: 2,
	})
	return s
}

// ruleset has a small table of every system.
func ruleset() snap.Ruleset {
	verdict := func(code, chain string) snap.Exprs {
		return snap.Exprs{&snap.Counter{Packets: 7}, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: code, Chain: chain}}}
	}
	forward := func(rules ...snap.Rule) snap.Chain {
		return snap.Chain{Name: "FORWARD", Hook: "forward", Type: "filter", Policy: "drop", PolicyPackets: -1, PolicyBytes: -1, Rules: rules}
	}
	return snap.Ruleset{Generation: 4, Tables: []snap.Table{
		{System: snap.IPTablesNFT, Family: snap.IPv4, Name: "filter", Chains: []snap.Chain{
			forward(snap.Rule{Handle: 5, Num: 1, Exprs: verdict("jump", "DOCKER"), Raw: []byte{1}}, snap.Rule{Handle: 6, Num: 2, Exprs: verdict("drop", "")}),
			{Name: "DOCKER", PolicyPackets: -1, PolicyBytes: -1, Rules: []snap.Rule{}},
			{Name: "SPARE", PolicyPackets: -1, PolicyBytes: -1, Rules: []snap.Rule{}},
		}},
		{System: snap.IPTablesLegacy, Family: snap.IPv4, Name: "filter", Chains: []snap.Chain{
			forward(snap.Rule{Num: 1, Packets: 3, Bytes: 4, Exprs: snap.Exprs{&snap.XtEntry{InIf: "eth0"}, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "drop"}}}}),
		}},
		{System: snap.NFT, Family: snap.Inet, Name: "fw", Chains: []snap.Chain{
			{Name: "in", Hook: "input", Type: "filter", Policy: "accept", PolicyPackets: -1, PolicyBytes: -1, Rules: []snap.Rule{
				{Handle: 9, Num: 1, Exprs: snap.Exprs{&snap.Payload{Base: "nh", Offset: 12, Len: 4, Dreg: 0, Sreg: snap.NoReg}, &snap.Lookup{Set: "__set0", Sreg: 0, Dreg: snap.NoReg}}},
			}},
		}, Sets: []snap.Set{
			{Name: "__set0", Anonymous: true, Constant: true, KeyType: 7, KeyLen: 4, Elements: []snap.Element{{Key: []byte{10, 0, 0, 1}}}},
			{Name: "bad", Interval: true, KeyType: 7, KeyLen: 4, Elements: []snap.Element{{Key: []byte{198, 51, 100, 0}, KeyEnd: []byte{198, 51, 100, 255}}}},
		}},
		{System: snap.NFT, Family: snap.IPv6, Name: "spare", Chains: []snap.Chain{}},
	}}
}

func do(t *testing.T, s *snap.Snapshot, ops ...fixups.Op) {
	t.Helper()
	for _, op := range ops {
		if err := op.On(s); err != nil {
			t.Fatalf("%s: %v", op.Describe(), err)
		}
	}
}

// sorted is a snapshot whose lists are in an order that does not depend on the
// order of changes; empty lists are nil.
func sorted(s *snap.Snapshot) *snap.Snapshot {
	c := s.Clone()
	for i := range c.Netns {
		n := &c.Netns[i]
		n.Links, n.Addrs, n.Routes, n.Rules = order(n.Links), order(n.Addrs), order(n.Routes), order(n.Rules)
		n.Neighs, n.FDB, n.Vlans, n.Conntrack = order(n.Neighs), order(n.FDB), order(n.Vlans), order(n.Conntrack)
		n.Ruleset.Tables = order(n.Ruleset.Tables)
		for j := range n.Ruleset.Tables {
			t := &n.Ruleset.Tables[j]
			t.Chains, t.Sets = order(t.Chains), order(t.Sets)
		}
	}
	c.Gaps = order(c.Gaps)
	for i := range c.Containers {
		c.Containers[i].Endpoints = order(c.Containers[i].Endpoints)
	}
	return c
}

func order[T any](in []T) []T {
	if len(in) == 0 {
		return nil
	}
	out := slices.Clone(in)
	slices.SortStableFunc(out, func(a, b T) int { return strings.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)) })
	return out
}
