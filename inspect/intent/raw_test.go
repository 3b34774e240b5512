package intent

import (
	"compress/gzip"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The first three are what Docker's own documents list (moby
// integration/network/bridge/iptablesdoc/generated, usernet-portmap.md and
// usernet-portmap-lo.md at v28.0.4 and v28.5.2).
func TestWhatDockerWritesIntoTheRawTable(t *testing.T) {
	t.Parallel()
	lo := func(p *snap.Port) { p.HostIP = netip.MustParseAddr("127.0.0.1") }
	for _, tt := range []struct {
		name, version, rules string
		change               func(e *snap.Engine, n *snap.Network, p *snap.Port)
		want                 []string
	}{
		{"28.0, a rule a port", "28.0.4", "docker-28", nil, []string{"-A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -p tcp -m tcp --dport 80 -j DROP"}},
		{"28.0, on loopback", "28.0.4", "docker-28", func(_ *snap.Engine, _ *snap.Network, p *snap.Port) { lo(p) }, []string{
			"-A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -p tcp -m tcp --dport 80 -j DROP",
			"-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8080 -j DROP",
		}},
		{"28.5, on loopback", "28.5.2", "docker-28", func(_ *snap.Engine, _ *snap.Network, p *snap.Port) { lo(p) }, []string{
			"-A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -j DROP",
			"-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8080 -j DROP",
		}},
		{"29, a device is trusted", "29.0.0", "docker-28", func(_ *snap.Engine, n *snap.Network, _ *snap.Port) {
			n.Options = map[string]string{"com.docker.network.bridge.trusted_host_interfaces": "eth1:eth2"}
		}, []string{
			"-A PREROUTING -d 192.0.2.2/32 -i eth1 -j ACCEPT",
			"-A PREROUTING -d 192.0.2.2/32 -i eth2 -j ACCEPT",
			"-A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -j DROP",
		}},
		{"direct routing is allowed", "29.0.0", "docker-28", func(e *snap.Engine, _ *snap.Network, p *snap.Port) { e.DirectRouting = true; lo(p) }, []string{
			"-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8080 -j DROP",
		}},
		{"28.1 has no such option", "28.1.1", "docker-28", func(e *snap.Engine, _ *snap.Network, _ *snap.Port) { e.DirectRouting = true }, []string{
			"-A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -p tcp -m tcp --dport 80 -j DROP",
		}},
		{"not known to write any", "29.0.0", "docker-28", func(e *snap.Engine, _ *snap.Network, _ *snap.Port) { e.Fences = false }, nil},
		{"routed", "29.0.0", "docker-28", func(_ *snap.Engine, n *snap.Network, p *snap.Port) { n.GatewayMode4, p.HostPort = "routed", 0 }, nil},
		{"unprotected", "29.0.0", "docker-28", func(_ *snap.Engine, n *snap.Network, _ *snap.Port) { n.GatewayMode4 = "nat-unprotected" }, nil},
		{"internal", "29.0.0", "docker-28", func(_ *snap.Engine, n *snap.Network, _ *snap.Port) { n.Internal = true }, nil},
		{"nftables, on loopback", "29.0.0", "docker-nft", func(_ *snap.Engine, _ *snap.Network, p *snap.Port) { lo(p) }, []string{
			`ip daddr 192.0.2.2 iifname != "bridge1" counter drop comment "DROP DIRECT ACCESS"`,
			`iifname != "lo" ip daddr 127.0.0.1 tcp dport 8080 counter drop comment "DROP REMOTE LOOPBACK"`,
		}},
		{"nftables, direct routing is allowed", "29.0.0", "docker-nft", func(e *snap.Engine, _ *snap.Network, _ *snap.Port) { e.DirectRouting = true }, nil},
	} {
		s := host(tt.version, func(e *snap.Engine, n *snap.Network, p *snap.Port) {
			e.Fences, e.Rules = true, tt.rules
			if tt.change != nil {
				tt.change(e, n, p)
			}
		})
		var got []string
		for _, r := range Of(s)[0].Rules {
			if r.Table != "raw" && r.Chain != "raw-PREROUTING" {
				continue
			}
			if !r.Optional {
				t.Errorf("%s: %q is a fault alone", tt.name, r.Text)
			}
			got = append(got, r.Text)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestIPv6sFrameIsWantedWhereAllIsGone(t *testing.T) {
	t.Parallel()
	table := func(sys snap.System, name, chain string) snap.Table {
		return snap.Table{System: sys, Family: snap.IPv4, Name: name, Chains: []snap.Chain{{Name: chain}}}
	}
	for _, tt := range []struct {
		name, rules string
		have        []snap.Table
		off, no6    bool
		want        int
	}{
		{name: "nothing is left", rules: "docker-28", want: 2},
		{name: "nftables: nothing is left", rules: "docker-nft", want: 2},
		{name: "the frame is there", rules: "docker-28", have: []snap.Table{table(snap.IPTablesNFT, "filter", "DOCKER")}, want: 1},
		{name: "nftables: the frame is there", rules: "docker-nft", have: []snap.Table{table(snap.NFT, dockerTable, "filter-FORWARD")}, want: 1},
		{name: "legacy iptables, nat left", rules: "docker-28", have: []snap.Table{table(snap.IPTablesLegacy, "nat", "DOCKER")}, want: 1},
		{name: "told to write none", rules: "docker-28", off: true, want: 1},
		{name: "no IPv6 here", rules: "docker-28", no6: true, want: 1},
	} {
		s := host("29.0.0", func(e *snap.Engine, _ *snap.Network, _ *snap.Port) { e.Rules, e.IP6Tables = tt.rules, !tt.off })
		s.Netns[0].Ruleset.Tables = tt.have
		if !tt.no6 {
			s.Netns[0].Addrs = []snap.Addr{{Index: 1, Prefix: netip.MustParsePrefix("::1/128")}}
		}
		if got := len(Of(s)); got != tt.want {
			t.Errorf("%s: %d sets, want %d", tt.name, got, tt.want)
		}
	}
}

// Recorded on 29.7.2: network tr trusts eth7. The kernel lists the set in its own order.
func TestTheRuleOfTrustedDevicesIsDockers(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/docker29-nft-trusted.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var s snap.Snapshot
	if err := json.NewDecoder(z).Decode(&s); err != nil {
		t.Fatal(err)
	}
	const rule = `ip daddr 172.30.25.11 iifname != { "eth7", "br-tr" } counter drop comment "DROP DIRECT ACCESS"`
	for _, trusts := range []string{"eth7", "eth7:eth8", "eth8"} {
		for i := range s.Networks {
			if s.Networks[i].Name == "tr" {
				s.Networks[i].Options["com.docker.network.bridge.trusted_host_interfaces"] = trusts
			}
		}
		extra := slices.ContainsFunc(Diff(&s, Of(&s)[0]).Extra, func(e Extra) bool { return e.Text == rule })
		if extra != (trusts != "eth7") {
			t.Errorf("%s is trusted: a rule of somebody else's is %v", trusts, extra)
		}
	}
}
