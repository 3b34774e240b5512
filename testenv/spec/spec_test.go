package spec

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const whole = `
name: shop
services:
  web:
    networks:
      front: {aliases: [www], ipv4_address: 10.1.0.9}
      back:
    ports: ["8080:80", "127.0.0.1:5432:5432/tcp", "[::1]:53:53/udp", "7000-7001:8000-8001", "9"]
    dns: 192.0.2.53
    dns_search: [example.org]
    extra_hosts: {gw: host-gateway}
    command: sh -c 'echo "a b"'
  db:
    network_mode: service:web
  workers:
    deploy: {replicas: 2, endpoint_mode: dnsrr}
networks:
  front:
    driver_opts: {com.docker.network.bridge.enable_icc: "false"}
    ipam: {config: [{subnet: 10.1.0.0/24, ip_range: 10.1.0.128/25, gateway: 10.1.0.254}]}
  back: {internal: true, enable_ipv6: true, attachable: true}
x-note: others' keys may stay
`

func TestAFileIsRead(t *testing.T) {
	t.Parallel()
	s, err := Parse(strings.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddr
	want := &Spec{
		Name: "shop",
		Networks: []Network{
			{
				Name: "front", Line: 18, Driver: "bridge", Options: map[string]string{"com.docker.network.bridge.enable_icc": "false"},
				Pools: []Pool{{Subnet: netip.MustParsePrefix("10.1.0.0/24"), Range: netip.MustParsePrefix("10.1.0.128/25"), Gateway: a("10.1.0.254")}},
			},
			{Name: "back", Line: 21, Driver: "bridge", Internal: true, IPv6: true, Attachable: true},
			{Name: "default", Driver: "bridge"},
		},
		Services: []Service{
			{
				Name: "web", Line: 4, Replicas: 1,
				Networks: []Attachment{{Network: "front", Aliases: []string{"www"}, IPv4: a("10.1.0.9")}, {Network: "back"}},
				Ports: []Port{
					{HostPort: 8080, ContainerPort: 80, Proto: "tcp"},
					{HostIP: a("127.0.0.1"), HostPort: 5432, ContainerPort: 5432, Proto: "tcp"},
					{HostIP: a("::1"), HostPort: 53, ContainerPort: 53, Proto: "udp"},
					{HostPort: 7000, ContainerPort: 8000, Proto: "tcp"},
					{HostPort: 7001, ContainerPort: 8001, Proto: "tcp"},
					{ContainerPort: 9, Proto: "tcp"},
				},
				DNS: []netip.Addr{a("192.0.2.53")}, DNSSearch: []string{"example.org"}, ExtraHosts: []string{"gw:host-gateway"},
				Command: []string{"sh", "-c", `echo "a b"`},
			},
			{Name: "db", Line: 13, Replicas: 1, NetworkMode: "service:web"},
			{Name: "workers", Line: 15, Replicas: 2, RoundRobin: true, Networks: []Attachment{{Network: "default"}}},
		},
	}
	if d := cmp.Diff(want, s, cmpopts.EquateEmpty(), cmp.Comparer(func(x, y netip.Addr) bool { return x == y }), cmp.Comparer(func(x, y netip.Prefix) bool { return x == y })); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestFaultsAreNamedWithTheirLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want string }{
		"an unknown key":               {"services:\n  a:\n    image: nginx\n", `line 3: service a: unknown key "image"; containers here run a program of this host`},
		"an unknown key of the file":   {"volumes: {}\n", `line 1: the file: unknown key "volumes"`},
		"an unknown driver":            {"networks:\n  a: {driver: weave}\n", `line 2: network a: driver "weave" is not known`},
		"an unknown option":            {"networks:\n  a: {driver_opts: {foo: 1}}\n", `has no option "foo"`},
		"overlapping subnets":          {"networks:\n  a: {ipam: {config: [{subnet: 10.0.0.0/8}]}}\n  b: {ipam: {config: [{subnet: 10.1.0.0/16}]}}\n", "line 3: network b: subnet 10.1.0.0/16 overlaps 10.0.0.0/8"},
		"a missing network":            {"services:\n  a: {networks: [x]}\n", `there is no network "x"`},
		"a path in a name":             {"services:\n  ../a: {}\n", "no fit name"},
		"a control in a name":          {"services:\n  \"a\\u001b[2J\": {}\n", "no fit name"},
		"a cycle of modes":             {"services:\n  a: {network_mode: \"service:b\"}\n  b: {network_mode: \"service:a\"}\n", "wait for each other: a → b → a"},
		"a cycle of links":             {"services:\n  a: {links: [b]}\n  b: {links: [\"a:x\"]}\n", "wait for each other"},
		"a port too high":              {"services:\n  a: {ports: [\"1:70000\"]}\n", "line 2"},
		"ranges of different lengths":  {"services:\n  a: {ports: [\"1-3:1-2\"]}\n", "different lengths"},
		"a fixed port for two":         {"services:\n  a: {scale: 2, ports: [\"1:1\"]}\n", "host port 1 for 2 containers"},
		"the same container twice":     {"services:\n  a-1: {}\n  a: {scale: 2}\n", `container name "a-1" is taken`},
		"gateway outside":              {"networks:\n  a: {ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.1.1}]}}\n", "gateway 10.0.1.1 does not lie within"},
		"a key twice":                  {"services:\n  a: {}\n  a: {}\n", ""},
		"no mapping":                   {"- a\n", "is to be a mapping"},
		"nothing":                      {"", "empty"},
		"two documents":                {"services: {}\n---\nservices: {}\n", "second document"},
		"a gateway mode":               {"networks:\n  a: {driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: open}}\n", "none of nat"},
		"a device name with a bad end": {"networks:\n  a: {driver_opts: {com.docker.network.bridge.name: \"a b\"}}\n", "can't name a device"},
	} {
		_, err := Parse(strings.NewReader(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func TestServicesComeAfterWhatTheyNeed(t *testing.T) {
	t.Parallel()
	s, err := Parse(strings.NewReader("services:\n  a: {links: [\"c:x\"]}\n  b: {network_mode: \"service:a\"}\n  c: {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range s.Order() {
		got = append(got, v.Name)
	}
	if d := cmp.Diff([]string{"c", "a", "b"}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("services:\n  a: &x {ports: [\"1\"]}\n  b: *x\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(strings.NewReader(text))
		if err == nil && s.check() != nil {
			t.Errorf("%q was read and is refused at a second look", text)
		}
	})
}
