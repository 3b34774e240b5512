package intent

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The rules below are those of bridge1 as 27.5.1, 28.0.4 and 28.5.2 wrote them on
// a host (28.0.4 and 28.5.2 alike).
func TestWhatDockerWritesForEachGatewayMode(t *testing.T) {
	t.Parallel()
	routed := func(_ *snap.Engine, n *snap.Network, p *snap.Port) { n.GatewayMode4, p.HostPort = "routed", 0 }
	open := func(_ *snap.Engine, n *snap.Network, _ *snap.Port) { n.GatewayMode4 = "nat-unprotected" }
	source := func(_ *snap.Engine, n *snap.Network, _ *snap.Port) {
		n.Options = map[string]string{"com.docker.network.host_ipv4": "203.0.113.9"}
	}
	const dnat = "-A DOCKER ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80"
	const accept = "-A DOCKER -d 192.0.2.2/32 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 80 -j ACCEPT"
	const isolate = "-A DOCKER-ISOLATION-STAGE-1 -i bridge1 ! -o bridge1 -j DOCKER-ISOLATION-STAGE-2"
	for _, tt := range []struct {
		name, version string
		change        func(e *snap.Engine, n *snap.Network, p *snap.Port)
		post, nat     []string // of POSTROUTING and DOCKER in nat
		docker, stage []string // of DOCKER and DOCKER-ISOLATION-STAGE-1 in filter
	}{
		{"28 routed", "28.5.2", routed, nil, []string{"-A DOCKER -i bridge1 -j RETURN"},
			[]string{accept, "-A DOCKER -o bridge1 -p icmp -j ACCEPT", "-A DOCKER ! -i bridge1 -o bridge1 -j DROP"},
			[]string{"-A DOCKER-ISOLATION-STAGE-1 -i bridge1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A DOCKER-ISOLATION-STAGE-1 -o bridge1 -j RETURN", isolate}},
		{"28 unprotected", "28.0.4", open, []string{"-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j MASQUERADE"}, []string{"-A DOCKER -i bridge1 -j RETURN", dnat},
			[]string{"-A DOCKER ! -i bridge1 -o bridge1 -j ACCEPT"}, []string{isolate}},
		{"28 with a source address", "28.0.4", source, []string{"-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j SNAT --to-source 203.0.113.9"}, []string{"-A DOCKER -i bridge1 -j RETURN", dnat},
			[]string{accept, "-A DOCKER ! -i bridge1 -o bridge1 -j DROP"}, []string{isolate}},
		{"27 routed", "27.5.1", routed, nil, nil, []string{accept}, []string{isolate}},
		{"27 with a source address", "27.5.1", source,
			[]string{"-A POSTROUTING -s 192.0.2.0/24 ! -o bridge1 -j SNAT --to-source 203.0.113.9", "-A POSTROUTING -s 192.0.2.2/32 -d 192.0.2.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE"},
			[]string{"-A DOCKER -i bridge1 -j RETURN", dnat}, []string{accept}, []string{isolate}},
	} {
		s := host(tt.version, tt.change)
		if strings.HasPrefix(tt.version, "27") {
			s.Engines[0].Rules = "docker-20"
		}
		got := texts(t, s)
		for what, w := range map[string][2][]string{
			"nat POSTROUTING": {tt.post, chain(got["nat"], "POSTROUTING")}, "nat DOCKER": {tt.nat, chain(got["nat"], "DOCKER")},
			"filter DOCKER": {tt.docker, chain(got["filter"], "DOCKER")}, "isolation": {tt.stage, chain(got["filter"], "DOCKER-ISOLATION-STAGE-1")},
		} {
			if diff := cmp.Diff(w[0], of(w[1])); diff != "" {
				t.Errorf("%s: %s (-want +got)\n%s", tt.name, what, diff)
			}
		}
	}
}

// A network whose bridge has no address is kept to itself like any internal one (what
// 29 wrote for it on a host).
func TestWhatDockerWritesForAnIsolatedNetwork(t *testing.T) {
	t.Parallel()
	s := host("29.0.0", func(_ *snap.Engine, n *snap.Network, _ *snap.Port) { n.Internal, n.GatewayMode4 = true, "isolated" })
	want := []string{
		"-A DOCKER-FORWARD -i bridge1 -o bridge1 -j ACCEPT", "-A DOCKER-INTERNAL ! -s 192.0.2.0/24 -o bridge1 -j DROP", "-A DOCKER-INTERNAL ! -d 192.0.2.0/24 -i bridge1 -j DROP",
	}
	if diff := cmp.Diff(want, of(texts(t, s)["filter"])); diff != "" {
		t.Errorf("iptables (-want +got)\n%s", diff)
	}
	s.Engines[0].Rules = "docker-nft"
	var got []string
	for _, r := range Of(s)[0].Rules {
		if strings.HasSuffix(r.Chain, "__bridge1") {
			got = append(got, r.Text)
		}
	}
	const established = "ct state established,related counter accept"
	want = []string{
		established, established, `iifname != "bridge1" counter drop comment "INTERNAL NETWORK INGRESS"`, `counter accept comment "ICC"`, `oifname != "bridge1" counter drop comment "INTERNAL NETWORK EGRESS"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nftables (-want +got)\n%s", diff)
	}
}

// of are the lines about bridge1 and its subnets.
func of(lines []string) []string {
	var out []string
	for _, l := range lines {
		if strings.Contains(l, "bridge1") || strings.Contains(l, "192.0.2.") || strings.Contains(l, "2001:db8:") {
			out = append(out, l)
		}
	}
	return out
}

// six gives bridge1 and its container IPv6.
func six(e *snap.Engine, n *snap.Network, _ *snap.Port) {
	e.IP6Tables = true
	n.IPv6, n.Pools = true, append(n.Pools, snap.Pool{Subnet: netip.MustParsePrefix("2001:db8:30::/64")})
}

func TestWhatDockerWritesForIPv6(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, version, rules string
		internal             bool
		want                 []string
	}{
		{"28", "28.5.2", "docker-28", false, []string{
			"filter -A DOCKER-CT -o bridge1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			"filter -A DOCKER-BRIDGE -o bridge1 -j DOCKER",
			"filter -A DOCKER-FORWARD -i bridge1 -j ACCEPT",
			"filter -A DOCKER-ISOLATION-STAGE-1 -i bridge1 ! -o bridge1 -j DOCKER-ISOLATION-STAGE-2",
			"filter -A DOCKER-ISOLATION-STAGE-2 -o bridge1 -j DROP",
			"nat -A POSTROUTING -s 2001:db8:30::/64 ! -o bridge1 -j MASQUERADE",
			"nat -A DOCKER -i bridge1 -j RETURN",
			"nat -A DOCKER ! -s fe80::/10 ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [2001:db8:30::2]:80",
			"filter -A DOCKER -d 2001:db8:30::2/128 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 80 -j ACCEPT",
			"filter -A DOCKER ! -i bridge1 -o bridge1 -j DROP",
		}},
		{"27", "27.5.1", "docker-20", false, []string{
			"filter -A FORWARD -o bridge1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
			"filter -A FORWARD -o bridge1 -j DOCKER",
			"filter -A FORWARD -i bridge1 ! -o bridge1 -j ACCEPT",
			"filter -A FORWARD -i bridge1 -o bridge1 -j ACCEPT",
			"filter -A DOCKER-ISOLATION-STAGE-1 -i bridge1 ! -o bridge1 -j DOCKER-ISOLATION-STAGE-2",
			"filter -A DOCKER-ISOLATION-STAGE-2 -o bridge1 -j DROP",
			"nat -A POSTROUTING -s 2001:db8:30::/64 ! -o bridge1 -j MASQUERADE",
			"nat -A DOCKER -i bridge1 -j RETURN",
			"filter -A DOCKER -d 2001:db8:30::2/128 ! -i bridge1 -o bridge1 -p tcp -m tcp --dport 80 -j ACCEPT",
			"nat -A DOCKER ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination [2001:db8:30::2]:80",
			"nat -A POSTROUTING -s 2001:db8:30::2/128 -d 2001:db8:30::2/128 -p tcp -m tcp --dport 80 -j MASQUERADE",
		}},
		{"28, internal", "28.5.2", "docker-28", true, []string{
			"filter -A DOCKER-FORWARD -i bridge1 -o bridge1 -j ACCEPT",
			"filter -A DOCKER-ISOLATION-STAGE-1 ! -s 2001:db8:30::/64 ! -i bridge1 -o bridge1 -j DROP",
			"filter -A DOCKER-ISOLATION-STAGE-1 ! -d 2001:db8:30::/64 -i bridge1 ! -o bridge1 -j DROP",
		}},
	} {
		s := host(tt.version, six)
		s.Engines[0].Rules, s.Networks[1].Internal = tt.rules, tt.internal
		s.Containers[0].Endpoints[0].IPv6 = netip.MustParsePrefix("2001:db8:30::2/64")
		sets := Of(s)
		if len(sets) != 2 || sets[1].Family != snap.IPv6 {
			t.Fatalf("%s: %d sets", tt.name, len(sets))
		}
		var got []string
		for _, r := range sets[1].Rules {
			got = append(got, r.Table+" "+r.Text)
		}
		if diff := cmp.Diff(tt.want, of(got)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
		s.Engines[0].IP6Tables = false
		if n := len(Of(s)); n != 1 {
			t.Errorf("%s: %d sets with ip6tables off", tt.name, n)
		}
	}
}

// The rules below are those of bridge1 as 29.9 wrote them on a host.
func TestWhatDockersNftablesWriteForIPv6(t *testing.T) {
	t.Parallel()
	s := host("29.9.0", six)
	s.Engines[0].Rules, s.Networks[1].Options = "docker-nft", map[string]string{"com.docker.network.host_ipv6": "2001:db8:9::1"}
	s.Containers[0].Endpoints[0].IPv6 = netip.MustParsePrefix("2001:db8:30::2/64")
	sets := Of(s)
	if len(sets) != 2 || sets[1].Family != snap.IPv6 {
		t.Fatalf("%d sets", len(sets))
	}
	var got []string
	for _, r := range sets[1].Rules {
		if strings.HasSuffix(r.Chain, "__bridge1") || r.Chain == "nat-prerouting-and-output" || r.Chain == "nat-OUTPUT" {
			got = append(got, r.Chain+" "+r.Text)
		}
	}
	want := []string{
		"nat-OUTPUT ip6 daddr != ::1 fib daddr type local counter jump nat-prerouting-and-output",
		"filter-forward-in__bridge1 ct state established,related counter accept",
		"filter-forward-out__bridge1 ct state established,related counter accept",
		`filter-forward-in__bridge1 iifname "bridge1" counter accept comment "ICC"`,
		"filter-forward-in__bridge1 ip6 daddr 2001:db8:30::2 tcp dport 80 counter accept",
		`filter-forward-in__bridge1 counter drop comment "UNPUBLISHED PORT DROP"`,
		`filter-forward-out__bridge1 counter accept comment "OUTGOING"`,
		`nat-postrouting-out__bridge1 oifname != "bridge1" ip6 saddr 2001:db8:30::/64 counter snat to 2001:db8:9::1 comment "SNAT"`,
		`nat-prerouting-and-output iifname != "bridge1" ip6 saddr != fe80::/10 tcp dport 8080 counter dnat to [2001:db8:30::2]:80 comment "DNAT"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
