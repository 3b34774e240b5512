package intent

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestNetavarksDriver: what is there, else what it noted down itself.
func TestNetavarksDriver(t *testing.T) {
	t.Parallel()
	table := func(sys snap.System, f snap.Family, name, chain string) []snap.Table {
		return []snap.Table{{System: sys, Family: f, Name: name, Chains: []snap.Chain{{Name: chain}}}}
	}
	for _, tt := range []struct {
		noted  string
		tables []snap.Table
		want   snap.System // "" nothing is wanted
	}{
		{"", nil, ""},
		{"none", nil, ""},
		{"netavark-nft", nil, snap.NFT},
		{"netavark-iptables", nil, snap.IPTablesNFT},
		{"", table(snap.NFT, snap.Inet, "netavark", "INPUT"), snap.NFT},
		{"", table(snap.IPTablesNFT, snap.IPv4, "filter", "NETAVARK_FORWARD"), snap.IPTablesNFT},
		{"netavark-iptables", table(snap.IPTablesLegacy, snap.IPv4, "filter", "NETAVARK_FORWARD"), snap.IPTablesLegacy},
		{"netavark-nft", table(snap.IPTablesNFT, snap.IPv4, "filter", "NETAVARK_FORWARD"), snap.NFT}, // left behind
	} {
		s := &snap.Snapshot{
			Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Class: snap.ClassHost, Ruleset: snap.Ruleset{Tables: tt.tables}}},
			Engines: []snap.Engine{{Name: "podman", IPTables: true, Rules: tt.noted}},
		}
		var got snap.System
		for _, set := range Of(s) {
			got = set.System
		}
		if got != tt.want {
			t.Errorf("noted %q, there %+v: %q, want %q", tt.noted, tt.tables, got, tt.want)
		}
	}
}

// The rules below are those that netavark 1.14.0 wrote for Podman 5.4.2, as nft lists
// them, chain by chain; those at input, which decide nothing, are left out.
func TestWhatNetavarkWritesWithNftables(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{
		Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Class: snap.ClassHost}},
		Engines: []snap.Engine{{Name: "podman", IPTables: true, Rules: "netavark-nft"}},
		Networks: []snap.Network{{
			Ref: "podman:pod6", Engine: "podman", ID: "ab1656ace06854420d88317453a8914b2cf2fadce4dd45673323ac802afc5591", Name: "pod6",
			Driver: "bridge", Bridge: "podman2", Masquerade: true,
			Pools: []snap.Pool{{Subnet: netip.MustParsePrefix("10.89.9.0/24")}, {Subnet: netip.MustParsePrefix("fd00:9::/64")}},
		}},
		Containers: []snap.Container{{
			Ref: "podman:p6", Engine: "podman", Name: "p6", State: "running",
			Endpoints: []snap.Endpoint{{Network: "pod6", IPv4: netip.MustParsePrefix("10.89.9.2/24"), IPv6: netip.MustParsePrefix("fd00:9::2/64")}},
			Ports: []snap.Port{
				{Proto: snap.TCP, HostIP: netip.IPv4Unspecified(), HostPort: 8090, ContainerPort: 80},
				{Proto: snap.TCP, HostIP: netip.MustParseAddr("::1"), HostPort: 8094, ContainerPort: 80},
				{Proto: snap.UDP, HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 8093, ContainerPort: 80},
				{Proto: snap.TCP, HostIP: netip.IPv4Unspecified(), HostPort: 8091, ContainerPort: 81},
				{Proto: snap.TCP, HostIP: netip.IPv4Unspecified(), HostPort: 9000, ContainerPort: 82},
			},
		}},
	}
	sets := Of(s)
	if len(sets) != 1 {
		t.Fatalf("%d sets", len(sets))
	}
	got := map[string][]string{}
	for _, r := range sets[0].Rules {
		if r.Table != "netavark" || sets[0].Family != snap.Inet {
			t.Errorf("%s %s: %s", sets[0].Family, r.Table, r.Text)
		}
		got[r.Chain] = append(got[r.Chain], r.Text)
	}
	want := map[string][]string{}
	for chain, text := range map[string]string{
		"POSTROUTING": `meta mark & 0x00002000 == 0x00002000 masquerade
ip saddr 10.89.9.0/24 jump nv_ab1656ac_10_89_9_0_nm24
ip6 saddr fd00:9::/64 jump nv_ab1656ac_fd00-9--_nm64`,
		"PREROUTING": "fib daddr type local jump NETAVARK-HOSTPORT-DNAT",
		"OUTPUT":     "fib daddr type local jump NETAVARK-HOSTPORT-DNAT",
		"NETAVARK-HOSTPORT-DNAT": `tcp dport 8090-8091 jump nv_ab1656ac_10_89_9_0_nm24_dnat
tcp dport 9000 jump nv_ab1656ac_10_89_9_0_nm24_dnat
ip daddr 127.0.0.1 udp dport 8093 jump nv_ab1656ac_10_89_9_0_nm24_dnat
ip6 daddr ::1 tcp dport 8094 jump nv_ab1656ac_fd00-9--_nm64_dnat`,
		"NETAVARK-HOSTPORT-SETMARK": "meta mark set meta mark | 0x00002000",
		"nv_ab1656ac_10_89_9_0_nm24": `ip daddr 10.89.9.0/24 accept
ip daddr != 224.0.0.0/4 masquerade`,
		"nv_ab1656ac_fd00-9--_nm64": `ip6 daddr fd00:9::/64 accept
ip6 daddr != ff00::/8 masquerade`,
		"nv_ab1656ac_10_89_9_0_nm24_dnat": `ip saddr 10.89.9.0/24 tcp dport 8090-8091 jump NETAVARK-HOSTPORT-SETMARK
ip saddr 127.0.0.1 tcp dport 8090-8091 jump NETAVARK-HOSTPORT-SETMARK
tcp dport 8090 dnat ip to 10.89.9.2:80
tcp dport 8091 dnat ip to 10.89.9.2:81
ip saddr 10.89.9.0/24 tcp dport 9000 jump NETAVARK-HOSTPORT-SETMARK
ip saddr 127.0.0.1 tcp dport 9000 jump NETAVARK-HOSTPORT-SETMARK
tcp dport 9000 dnat ip to 10.89.9.2:82
ip saddr 10.89.9.0/24 ip daddr 127.0.0.1 udp dport 8093 jump NETAVARK-HOSTPORT-SETMARK
ip saddr 127.0.0.1 ip daddr 127.0.0.1 udp dport 8093 jump NETAVARK-HOSTPORT-SETMARK
ip daddr 127.0.0.1 udp dport 8093 dnat ip to 10.89.9.2:80`,
		"nv_ab1656ac_fd00-9--_nm64_dnat": `ip6 saddr fd00:9::/64 ip6 daddr ::1 tcp dport 8094 jump NETAVARK-HOSTPORT-SETMARK
ip6 daddr ::1 tcp dport 8094 dnat ip6 to [fd00:9::2]:80`,
		"FORWARD": `ct state invalid drop
jump NETAVARK-ISOLATION-1
ip daddr 10.89.9.0/24 ct state established,related accept
ip saddr 10.89.9.0/24 accept
ip6 daddr fd00:9::/64 ct state established,related accept
ip6 saddr fd00:9::/64 accept`,
		"NETAVARK-ISOLATION-3": `oifname "podman2" drop
jump NETAVARK-ISOLATION-2`,
	} {
		want[chain] = strings.Split(text, "\n")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, empty := range []string{"INPUT", "NETAVARK-ISOLATION-1", "NETAVARK-ISOLATION-2"} {
		want[empty] = []string{}
	}
	for _, c := range sets[0].Chains {
		if want[c.Name] == nil {
			t.Errorf("chain %s", c.Name)
		}
		delete(want, c.Name)
	}
	if len(want) > 0 {
		t.Errorf("no chains %v", want)
	}
}

// Of three networks one is kept apart, and one strictly: what netavark 1.17.2 wrote.
func TestWhatKeepsNetavarksNetworksApart(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{
		Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Class: snap.ClassHost}},
		Engines: []snap.Engine{{Name: "podman", IPTables: true, Rules: "netavark-nft"}},
	}
	for i, isolate := range []string{"", "true", "strict"} {
		name := "net" + isolate
		s.Networks = append(s.Networks, snap.Network{
			Ref: "podman:" + name, Engine: "podman", ID: strings.Repeat(string(rune('a'+i)), 64), Name: name, Driver: "bridge",
			Bridge: "podman" + string(rune('1'+i)), Masquerade: true, Options: map[string]string{"isolate": isolate},
			Pools: []snap.Pool{{Subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 89, byte(i), 0}), 24)}},
		})
		s.Containers = append(s.Containers, snap.Container{
			Ref: "podman:c" + name, Engine: "podman", Name: "c" + name, State: "running",
			Endpoints: []snap.Endpoint{{Network: name, IPv4: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 89, byte(i), 2}), 24)}},
		})
	}
	kept := func() map[string][]string {
		out := map[string][]string{}
		for _, set := range Of(s) {
			for _, r := range set.Rules {
				if strings.Contains(r.Text, "ISOLATION") || strings.Contains(r.Chain, "ISOLATION") {
					text := r.Text
					if r.Optional {
						text += " (optional)"
					}
					out[r.Chain] = append(out[r.Chain], text)
				}
			}
		}
		return out
	}
	want := map[string][]string{
		"FORWARD":              {"jump NETAVARK-ISOLATION-1"},
		"NETAVARK-ISOLATION-1": {`iifname "podman2" oifname != "podman2" jump NETAVARK-ISOLATION-2`, `iifname "podman3" oifname != "podman3" jump NETAVARK-ISOLATION-3`},
		"NETAVARK-ISOLATION-2": {`oifname "podman2" drop`, `oifname "podman3" drop`},
		"NETAVARK-ISOLATION-3": {`oifname "podman1" drop`, "jump NETAVARK-ISOLATION-2"},
	}
	if diff := cmp.Diff(want, kept()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	s.Containers = s.Containers[:1] // nobody is kept apart any more
	want = map[string][]string{
		"FORWARD":              {"jump NETAVARK-ISOLATION-1 (optional)"},
		"NETAVARK-ISOLATION-3": {`oifname "podman1" drop (optional)`, "jump NETAVARK-ISOLATION-2 (optional)"},
	}
	if diff := cmp.Diff(want, kept()); diff != "" {
		t.Errorf("with one network (-want +got)\n%s", diff)
	}
}
