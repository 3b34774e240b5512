package driver

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// world is a host on which operations are tried.
type world struct {
	t    *testing.T
	env  *Env
	s    *snap.Snapshot
	nets map[string]*Network
	rule [2]int
}

func newWorld(t *testing.T, gen Generation, proxy bool) *world {
	t.Helper()
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Class: snap.ClassHost, Sysctls: map[string]string{"net/ipv4/ip_forward": "1"}, Links: []snap.Link{
		{Index: 1, Name: "lo", Kind: "loopback", Up: true, PeerNSID: -1}, {Index: 2, Name: "eth0", MTU: 1500, Up: true, PeerNSID: -1},
	}}}}
	w := &world{t: t, s: s, nets: map[string]*Network{}, env: &Env{Name: "test", Gen: gen, Proxy: proxy, Dir: "/run/netdoctor/env", Host: fixups.Where{ID: "host", Host: true}}}
	w.do(Frame(w.env, false)...)
	return w
}

func (w *world) do(ops ...fixups.Op) {
	w.t.Helper()
	for _, op := range fixups.Flat(ops...) {
		if len(op.Shell()) == 0 {
			w.t.Errorf("%s: no line for people", op.Describe())
		}
		if fixups.Holds(op, w.s) {
			continue // tables and base chains that are there already
		}
		if err := op.On(w.s); err != nil {
			w.t.Fatalf("%s: %v", op.Describe(), err)
		}
	}
}

func (w *world) net(n Network) *Network {
	w.t.Helper()
	n.Net.ID = strings.Repeat("ab", 32)
	if n.Net.Driver == "" {
		n.Net.Driver = "bridge"
	}
	w.do(Up(w.env, &n)...)
	w.nets[n.Net.Name] = &n
	return &n
}

func bridge(name, subnet string) Network {
	p := netip.MustParsePrefix(subnet)
	return Network{Net: snap.Network{Name: name, Bridge: name, ICC: true, Masquerade: true, Pools: []snap.Pool{{Subnet: p, Gateway: p.Addr().Next()}}}}
}

// run makes a container with published ports on a network.
func (w *world) run(n *Network, name, ip string, ports ...snap.Port) *Container {
	w.t.Helper()
	c := &Container{Ctr: snap.Container{ID: fmt.Sprintf("%012x%052d", len(w.s.Netns), 0), Name: name, SandboxKey: "/run/netdoctor/env/netns/" + name, Ports: ports}}
	bits := n.Pool(false).Subnet.Bits()
	c.Ctr.Endpoints = []snap.Endpoint{{Network: n.Net.Name, IPv4: netip.PrefixFrom(netip.MustParseAddr(ip), bits), Gateway4: n.Pool(false).Gateway, Link: "eth0", HostLink: "veth" + name}}
	ep := &c.Ctr.Endpoints[0]
	w.do(Sandbox(w.env, c)...)
	w.do(Attach(w.env, n, c, ep)...)
	w.do(DefaultRoute(w.env, c, Gateway(w.env, c, w.nets, false), false))
	w.do(Publish(w.env, n, ep, ports, w.rule)...)
	w.rule[0] += n.Rules(ep, ports, false)
	return c
}

// rules prints the host's rules in the words of their tools, with Docker's names
// for ours and without the owner mark.
func (w *world) rules() string {
	var b strings.Builder
	host := w.s.HostNs()
	for i := range host.Ruleset.Tables {
		t := &host.Ruleset.Tables[i]
		fmt.Fprintf(&b, "# %s\n", t.Name)
		for j := range t.Sets {
			for _, e := range t.Sets[j].Elements {
				fmt.Fprintf(&b, "%s %s : %s %s\n", t.Sets[j].Name, strings.TrimRight(string(e.Key), "\x00"), e.Verdict.Code, e.Verdict.Chain)
			}
		}
		for j := range t.Chains {
			c := &t.Chains[j]
			if t.System == snap.NFT {
				fmt.Fprintf(&b, "%s:\n", c.Name)
			}
			for k := range c.Rules {
				fmt.Fprintln(&b, firewall.RuleText(host, t, c, &c.Rules[k]))
			}
		}
	}
	return strings.NewReplacer("NETDOCTOR", "DOCKER", "netdoctor-", "docker-", ` -m comment --comment "netdoctor:test"`, "", " -m comment --comment netdoctor:test", "", " counter packets 0 bytes 0", " counter", "counter packets 0 bytes 0", "counter").Replace(b.String())
}

func port(host, ctr uint16) snap.Port {
	return snap.Port{Proto: snap.TCP, HostIP: netip.IPv4Unspecified(), HostPort: host, ContainerPort: ctr}
}

// scenarios are those of moby's golden documents
// (integration/network/bridge/iptablesdoc and nftablesdoc), with their names.
var scenarios = []struct {
	name  string
	proxy bool
	build func(*world)
}{
	{"new-daemon", true, func(w *world) { w.net(bridge("docker0", "172.17.0.0/16")) }},
	{"usernet-portmap", true, func(w *world) {
		w.net(bridge("docker0", "172.17.0.0/16"))
		w.run(w.net(bridge("bridge1", "192.0.2.0/24")), "c1", "192.0.2.2", port(8080, 80))
	}},
	{"usernet-portmap-lo", true, func(w *world) {
		w.net(bridge("docker0", "172.17.0.0/16"))
		p := port(8080, 80)
		p.HostIP = netip.MustParseAddr("127.0.0.1")
		w.run(w.net(bridge("bridge1", "192.0.2.0/24")), "c1", "192.0.2.2", p)
	}},
	{"usernet-portmap-noproxy", false, func(w *world) {
		w.net(bridge("docker0", "172.17.0.0/16"))
		w.run(w.net(bridge("bridge1", "192.0.2.0/24")), "c1", "192.0.2.2", port(8080, 80))
	}},
	{"usernet-portmap-noicc", true, func(w *world) {
		w.net(bridge("docker0", "172.17.0.0/16"))
		n := bridge("bridge1", "192.0.2.0/24")
		n.Net.ICC = false
		w.run(w.net(n), "c1", "192.0.2.2", port(8080, 80))
	}},
	{"usernet-portmap-routed", true, func(w *world) {
		w.net(bridge("docker0", "172.17.0.0/16"))
		n := bridge("bridge1", "192.0.2.0/24")
		n.Net.GatewayMode4 = "routed"
		w.run(w.net(n), "c1", "192.0.2.2", port(8080, 80))
	}},
	{"usernet-portmap-natunprot", true, func(w *world) {
		w.net(bridge("docker0", "172.17.0.0/16"))
		n := bridge("bridge1", "192.0.2.0/24")
		n.Net.GatewayMode4 = "nat-unprotected"
		w.run(w.net(n), "c1", "192.0.2.2", port(8080, 80))
	}},
	{"usernet-internal", true, func(w *world) {
		w.net(bridge("docker0", "172.17.0.0/16"))
		n := bridge("bridgeICC", "192.0.2.0/24")
		n.Net.Internal = true
		w.run(w.net(n), "c1", "192.0.2.2", port(8080, 80))
		n = bridge("bridgeNoICC", "198.51.100.0/24")
		n.Net.Internal, n.Net.ICC = true, false
		w.run(w.net(n), "c2", "198.51.100.2")
	}},
	{"two-ports-two-containers", true, func(w *world) {
		n := w.net(bridge("bridge1", "192.0.2.0/24"))
		w.run(n, "c1", "192.0.2.2", port(8080, 80), port(8443, 443))
		w.run(n, "c2", "192.0.2.3", port(9090, 90))
	}},
}

func TestRulesAreThoseOfEachGeneration(t *testing.T) {
	t.Parallel()
	for _, gen := range Generations() {
		for _, sc := range scenarios {
			t.Run(string(gen)+"/"+sc.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, gen, sc.proxy)
				sc.build(w)
				file := filepath.Join("testdata", string(gen), sc.name+".txt")
				if os.Getenv("ND_UPDATE") != "" {
					_ = os.MkdirAll(filepath.Dir(file), 0o755)
					_ = os.WriteFile(file, []byte(w.rules()), 0o644)
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatalf("%v; got\n%s", err, w.rules())
				}
				if d := cmp.Diff(string(want), w.rules()); d != "" {
					t.Errorf("(-want +got)\n%s", d)
				}
			})
		}
	}
}
