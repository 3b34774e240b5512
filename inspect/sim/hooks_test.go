package sim

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestHooks is about the order and the reach of chains.
func TestHooks(t *testing.T) {
	t.Parallel()
	toWeb, out := tcp80("client", "172.18.0.2"), tcp80("client", "198.51.100.7")
	for _, c := range []struct {
		name string
		edit func(*model)
		flow Flow
		want want
	}{
		{name: "an accept ends its own chain only", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "forward", 0, "accept", accept())
			m.chain("host", snap.Inet, "filter", "forward", 10, "accept", drop())
		}, flow: out, want: want{Dropped, "host", "br-app", CauseRule, "NETFILTER_DROP", "t2 forward rule 1 drops it", false}},
		{
			name: "a policy drops", edit: func(m *model) { m.chain("host", snap.IPv4, "filter", "forward", 0, "drop") },
			flow: out, want: want{Dropped, "host", "br-app", CausePolicy, "NETFILTER_DROP", "the policy of t1 forward drops it", false},
		},
		{name: "bridged packets pass FORWARD with the bridge on both sides", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "forward", 0, "accept", join(ifname("iifname", "br-app"), ifname("oifname", "br-app"), drop()))
		}, flow: toWeb, want: want{Dropped, "host", "br-app", CauseRule, "NETFILTER_DROP", "", false}},
		{name: "they do not when bridge-nf is off", edit: func(m *model) {
			m.sysctl("host", "net/bridge/bridge-nf-call-iptables", "0")
			m.chain("host", snap.IPv4, "filter", "forward", 0, "drop")
		}, flow: toWeb, want: want{Verdict: Delivered}},
		{name: "nor when the module is not loaded", edit: func(m *model) {
			delete(m.ns["host"].Sysctls, "net/bridge/bridge-nf-call-iptables")
			m.link("host", "br-app").Bridge.NFCallIPTables = true
			m.chain("host", snap.IPv4, "filter", "forward", 0, "drop")
		}, flow: toWeb, want: want{Verdict: Delivered}},
		{name: "POSTROUTING of bridged packets has no input device", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "postrouting", 0, "accept", join(ifname("iifname", "br-app"), drop()))
		}, flow: toWeb, want: want{Verdict: Delivered}},
		{name: "POSTROUTING of routed packets has one", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "postrouting", 0, "accept", join(ifname("iifname", "br-app"), drop()))
		}, flow: out, want: want{Dropped, "host", "br-app", CauseRule, "NETFILTER_DROP", "", false}},
		{name: "PREROUTING runs once for what the bridge passes up", edit: func(m *model) {
			// The chain toggles the mark: after two runs it would be 0.
			m.chain("host", snap.IPv4, "filter", "prerouting", -150, "accept", snap.Exprs{
				&snap.Meta{Key: "mark", Dreg: 0, Sreg: snap.NoReg}, &snap.Bitwise{Sreg: 0, Sreg2: snap.NoReg, Dreg: 0, Len: 4, Op: "mask-xor", Mask: []byte{255, 255, 255, 255}, Xor: []byte{1, 0, 0, 0}},
				&snap.Meta{Key: "mark", Dreg: snap.NoReg, Sreg: 0},
			})
			m.chain("host", snap.IPv4, "filter", "forward", 0, "drop", join(match(meta("mark"), 1, 0, 0, 0), accept()), join(saddr("198.51.100.7"), accept()))
		}, flow: out, want: want{Verdict: Delivered}},
		{name: "marks do not cross namespaces", edit: func(m *model) {
			m.chain("client", snap.IPv4, "filter", "output", 0, "accept", snap.Exprs{&snap.Immediate{Dreg: 0, Data: []byte{1, 0, 0, 0}}, &snap.Meta{Key: "mark", Dreg: snap.NoReg, Sreg: 0}})
			m.chain("host", snap.IPv4, "filter", "forward", 0, "accept", join(match(meta("mark"), 1, 0, 0, 0), drop()))
		}, flow: out, want: want{Verdict: Delivered}},
		{name: "TTL is lower in FORWARD", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "forward", 0, "accept", join(saddr("172.18.0.3"), match(nh(8, 1), 64), drop()))
		}, flow: out, want: want{Verdict: Delivered}},
		{name: "but not when bridged", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "forward", 0, "accept", join(match(nh(8, 1), 64), drop()))
		}, flow: toWeb, want: want{Dropped, "host", "br-app", CauseRule, "NETFILTER_DROP", "", false}},
		{name: "the first mapping wins", edit: func(m *model) {
			m.chain("host", snap.IPv4, "nat", "prerouting", -100, "accept", join(daddr("192.0.2.2"), l4(6), dport(8080), dnat("172.18.0.2", 80)))
			m.chain("host", snap.IPv4, "nat", "prerouting", -90, "accept", join(daddr("192.0.2.2"), l4(6), dport(8080), dnat("172.18.0.99", 80)))
		}, flow: Flow{From: "internet", Dst: ip("192.0.2.2"), Proto: snap.TCP, Dport: 8080}, want: want{Verdict: Delivered}},
		{
			name: "a loopback source does not leave without route_localnet", edit: func(m *model) {
				m.chain("host", snap.IPv4, "nat", "output", -100, "accept", join(l4(6), dport(8080), dnat("172.18.0.2", 80)))
			}, flow: Flow{From: "host", Dst: ip("127.0.0.1"), Proto: snap.TCP, Dport: 8080},
			want: want{Dropped, "host", "lo", CauseNATReroute, "NETFILTER_DROP", "(route_localnet=0)", false},
		},
		{
			name: "with route_localnet it needs masquerade: even the question for the MAC comes from 127.0.0.1", edit: func(m *model) {
				m.sysctl("host", "net/ipv4/conf/br-app/route_localnet", "1")
				m.chain("host", snap.IPv4, "nat", "output", -100, "accept", join(l4(6), dport(8080), dnat("172.18.0.2", 80)))
			}, flow: Flow{From: "host", Dst: ip("127.0.0.1"), Proto: snap.TCP, Dport: 8080},
			want: want{Dropped, "host", "br-app", CauseMartian, "NEIGH_FAILED", "web takes no question of 127.0.0.1", false},
		},
		{
			name: "with route_localnet it needs masquerade", edit: func(m *model) {
				m.ns["host"].Neighs = []snap.Neigh{{Index: m.link("host", "br-app").Index, IP: ip("172.18.0.2"), MAC: m.link("web", "eth0").MAC, State: "reachable"}}
				m.sysctl("host", "net/ipv4/conf/br-app/route_localnet", "1")
				m.chain("host", snap.IPv4, "nat", "output", -100, "accept", join(l4(6), dport(8080), dnat("172.18.0.2", 80)))
			}, flow: Flow{From: "host", Dst: ip("127.0.0.1"), Proto: snap.TCP, Dport: 8080},
			want: want{Dropped, "web", "eth0", CauseMartian, "IP_LOCALNET", "127.0.0.1 must not come in by eth0", false},
		},
		{name: "with both it works", edit: func(m *model) {
			m.sysctl("host", "net/ipv4/conf/br-app/route_localnet", "1")
			m.chain("host", snap.IPv4, "nat", "output", -100, "accept", join(l4(6), dport(8080), dnat("172.18.0.2", 80)))
			m.chain("host", snap.IPv4, "nat", "postrouting", 101, "accept", join(ifname("oifname", "br-app"), masq()))
		}, flow: Flow{From: "host", Dst: ip("127.0.0.1"), Proto: snap.TCP, Dport: 8080}, want: want{Verdict: Delivered}},
		{
			name: "INPUT of the target", edit: func(m *model) { m.chain("web", snap.IPv4, "filter", "input", 0, "drop") },
			flow: toWeb, want: want{Dropped, "web", "eth0", CausePolicy, "NETFILTER_DROP", "", false},
		},
		{
			name: "OUTPUT of the target stops the answer", edit: func(m *model) { m.chain("web", snap.IPv4, "filter", "output", 0, "drop") },
			flow: toWeb, want: want{Dropped, "web", "eth0", CausePolicy, "NETFILTER_DROP", "", true},
		},
		{name: "an ARP question stopped by a bridge rule", edit: func(m *model) {
			m.chain("host", snap.BridgeFamily, "filter", "forward", 0, "accept", join(match(meta("protocol"), 0x08, 0x06), drop()))
		}, flow: toWeb, want: want{Dropped, "client", "eth0", CauseRule, "NEIGH_FAILED", "172.18.0.2 answers no ARP on eth0: in host t1 forward rule 1 drops it", false}},
		{name: "it is known that nobody need ask", edit: func(m *model) {
			m.chain("host", snap.BridgeFamily, "filter", "forward", 0, "accept", join(match(meta("protocol"), 0x08, 0x06), match(nh(6, 2), 0, 1), match(nh(24, 4), 172, 18, 0, 3), drop()))
			m.ns["client"].Neighs = []snap.Neigh{{Index: m.link("client", "eth0").Index, IP: ip("172.18.0.2"), State: "reachable", MAC: m.link("web", "eth0").MAC}}
		}, flow: toWeb, want: want{Unknown, "web", "eth0", CauseRule, "NEIGH_FAILED", "172.18.0.3 answers no ARP on eth0: in host t1 forward rule 1 drops it; it is known there only", true}},
		{name: "who has to ask is known by that", edit: func(m *model) {
			m.chain("host", snap.BridgeFamily, "filter", "forward", 0, "accept", join(match(meta("protocol"), 0x08, 0x06), match(nh(6, 2), 0, 1), match(nh(24, 4), 172, 18, 0, 3), drop()))
		}, flow: toWeb, want: want{Verdict: Delivered}},
		{name: "a device's ingress hook", edit: func(m *model) {
			c := m.chain("host", snap.Netdev, "filter", "ingress", 0, "accept", join(match(nh(9, 1), 6), drop()))
			c.Devices = []string{"eth0"}
		}, flow: out, want: want{Dropped, "host", "eth0", CauseRule, "NETFILTER_DROP", "", true}},
		{name: "an expression that is not known may do anything", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "forward", 0, "drop", join(snap.Exprs{&snap.Unknown{Name: "oracle"}}, drop()))
		}, flow: out, want: want{Unknown, "host", "br-app", CauseModel, "", "oracle", false}},
		{name: "a rate limit decides", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "forward", 0, "accept", join(snap.Exprs{&snap.Limit{Rate: 10, Unit: 1, Burst: 5}}, drop()))
		}, flow: out, want: want{Unknown, "host", "br-app", CauseRule, "NETFILTER_DROP", "", false}},
		{name: "it does not when the packet is dropped anyway", edit: func(m *model) {
			m.chain("host", snap.IPv4, "filter", "forward", 0, "drop", join(snap.Exprs{&snap.Limit{Rate: 10, Unit: 1, Burst: 5}}, drop()))
		}, flow: out, want: want{Dropped, "host", "br-app", CauseRule, "NETFILTER_DROP", "", false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := docker(t)
			c.edit(m)
			check(t, m.world().Trace(c.flow), c.want)
		})
	}
}
