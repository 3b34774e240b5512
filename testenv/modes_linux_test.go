package testenv_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

const modes = `
services:
  web: {networks: [app], hostname: shop}
  side: {network_mode: "service:web"}
  alone: {network_mode: none}
  open: {network_mode: host}
  old: {network_mode: bridge}
  linked: {network_mode: bridge, links: ["old:db"], extra_hosts: {gw: host-gateway}}
  six: {networks: {dual: {ipv6_address: "fd00:9::9"}}}
  seven: {networks: [dual]}
networks:
  app: {}
  dual: {ipam: {config: [{subnet: 10.9.0.0/24, ip_range: 10.9.0.128/25, gateway: 10.9.0.254}, {subnet: "fd00:9::/64"}]}}
`

func TestNetworkModes(t *testing.T) {
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) { networkModes(t, gen) })
	}
}

func networkModes(t *testing.T, gen driver.Generation) {
	t.Helper()
	before := dump(t)
	h := &testenv.Host{}
	ctx := context.Background()
	if _, err := h.Up(ctx, parse(t, modes), testenv.UpOptions{Options: testenv.Options{Like: gen}}); err != nil {
		t.Fatal(err)
	}
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, do, want string }{
		{"web", "hostname", "shop"},
		{"side", "ip -4 -br addr show eth0", "172.17.0.2/16"},
		{"side", "cat /etc/hosts", "172.17.0.2\tshop"},
		{"alone", "ip -br link | wc -l | tr -d ' '", "1"},
		{"open", "ip -br link", "netdoctor0"},
		{"linked", "cat /etc/hosts", "\tdb " + st.Container("old").Ctr.ID[:12] + " old"},
		{"linked", "ping -c1 -W2 db >/dev/null && echo reached", "reached"},
		{"linked", "cat /etc/resolv.conf", map[bool]string{true: "nameserver ", false: "(legacy)"}[gen == driver.Docker20]}, // which wrote no remarks
		{"linked", "grep gw /etc/hosts", st.Container("old").Ctr.Endpoints[0].Gateway4.String()},
		{"six", "ip -br addr show eth0", "10.9.0.128/24 fd00:9::9/64"},
		{"seven", "ping -6 -c1 -W2 six >/dev/null && echo reached", "reached"},
		{"seven", "ip -6 route show default", "default via fd00:9::1 dev eth0 metric 1024"},
		{"six", "getent ahostsv6 seven", "fd00:9::2"},
	} {
		if out, _ := in(t, h, c.in, c.do); !strings.Contains(out, c.want) {
			t.Errorf("%s: %s: %q, want %q in it", c.in, c.do, out, c.want)
		}
	}
	if maps := sh(t, "nft list table ip netdoctor-bridges"); gen == driver.Docker29n && (!strings.Contains(maps, `"netdoctor0" : jump `) || strings.Contains(maps, `"" : jump `)) {
		t.Errorf("nft does not name the devices of the maps: %s", maps)
	}
	if d, err := h.Check(ctx); err != nil || len(d) > 0 {
		t.Errorf("drift %q, %v", d, err)
	}
	if _, err := h.Down(ctx, false); err != nil {
		t.Fatal(err)
	}
	if after := dump(t); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

const drivers = `
services:
  a: {networks: [lan]}
  b: {networks: [lan]}
  c: {networks: [far]}
  d: {networks: [far]}
networks:
  lan: {driver: macvlan, driver_opts: {parent: eth7}, ipam: {config: [{subnet: 192.0.2.0/24, gateway: 192.0.2.1}]}}
  far: {driver: overlay, driver_opts: {local: 198.51.100.1}, x-peers: {10.0.1.9: 198.51.100.2}}
`

func TestMacvlanAndOverlay(t *testing.T) {
	sh(t, "ip link add eth7 type veth peer name eth8; sysctl -q net.ipv6.conf.eth7.disable_ipv6=1 net.ipv6.conf.eth8.disable_ipv6=1; ip link set eth7 up; ip link set eth8 up; ip addr add 192.0.2.9/24 dev eth7") // the host is on that LAN, too
	until(t, "the parent is up", func() bool { return strings.Contains(sh(t, "ip link show eth7"), "state UP") })
	defer sh(t, "ip link del eth7")
	before := dump(t)
	h := &testenv.Host{}
	ctx := context.Background()
	if _, err := h.Up(ctx, parse(t, drivers), testenv.UpOptions{Options: testenv.Options{Like: driver.Docker29n}}); err != nil {
		t.Fatal(err)
	}
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, do, want string }{
		{"a", "ping -c1 -W2 b >/dev/null && echo reached", "reached"},
		{"a", "ip route show default", "default via 192.0.2.1 dev eth0"},
		{"a", "ip -d link show eth0", "macvlan mode bridge"},
		{"c", "ping -c1 -W2 d >/dev/null && echo reached", "reached"},
		{"c", "ip link show eth0", "mtu 1450"},
		{"c", "ip -4 -br addr show eth0", "10.0.1.2/24"},
		{"c", "ip route show default", "dev eth1"},
	} {
		if out, _ := in(t, h, c.in, c.do); !strings.Contains(out, c.want) {
			t.Errorf("%s: %s: %q, want %q in it", c.in, c.do, out, c.want)
		}
	}
	far := "nsenter --net=/run/netdoctor/env/netns/1-" + st.Network("far").Net.ID[:10] + " "
	for do, want := range map[string]string{
		"ip -d link show vxlan0":       "vxlan id 4097 local 198.51.100.1",
		"bridge fdb show dev vxlan0":   "02:42:0a:00:01:09 dst 198.51.100.2 ",
		"ip neigh show dev vxlan0":     "10.0.1.9 lladdr 02:42:0a:00:01:09 PERMANENT",
		"ip -4 -br addr show dev br0":  "10.0.1.1/24",
		"ip -d link show vxlan0 | cat": "proxy",
	} {
		if out := sh(t, far+do); !strings.Contains(out, want) {
			t.Errorf("%s: %q, want %q in it", do, out, want)
		}
	}
	if _, err := h.Down(ctx, false); err != nil {
		t.Fatal(err)
	}
	if after := dump(t); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// What a kernel has is what "ip link add" can make, and asking leaves nothing.
func TestSupportsAsksWithoutMaking(t *testing.T) {
	before := dump(t)
	can := 0
	for kind, more := range map[string]string{"bridge": "", "veth": "", "dummy": "", "macvlan": "link lo", "ipvlan": "link lo", "vxlan": "id 7 dstport 4789", "nosuchkind": ""} {
		err := apply.Supports(context.Background(), kind)
		lower, own := "", more
		if strings.HasPrefix(more, "link ") {
			lower, own = more, ""
		}
		out := sh(t, "ip link add "+lower+" name nd-kind type "+kind+" "+own+" 2>&1 || true")
		missing := strings.Contains(out, "Unknown device type") || strings.Contains(out, "not supported")
		sh(t, "ip link del nd-kind 2>/dev/null || true")
		switch {
		case missing && !errors.Is(err, snap.ErrUnsupported):
			t.Errorf("%s: %v, and ip says %q", kind, err, out)
		case !missing && err != nil:
			t.Errorf("%s: %v, and ip says %q", kind, err, out)
		case err == nil:
			can++
		}
	}
	if can < 4 {
		t.Errorf("only %d kinds were seen to be there", can)
	}
	if after := dump(t); after != before {
		t.Errorf("asking left\n%s", after)
	}
}

func TestRefusals(t *testing.T) {
	before := dump(t)
	h := &testenv.Host{}
	ctx := context.Background()
	up := func(text string) error {
		_, err := h.Up(ctx, parse(t, text), testenv.UpOptions{Options: testenv.Options{Like: driver.Docker29n}, Keep: true})
		return err
	}
	if err := up("networks:\n  a: {driver: ipvlan}\n"); err == nil {
		t.Log("this kernel has ipvlan")
	} else if !errors.Is(err, snap.ErrUnsupported) || !strings.Contains(snap.HintOf(err), "CONFIG_IPVLAN") {
		t.Errorf("ipvlan: %v (%s), want the kernel's option", err, snap.HintOf(err))
	}
	r, err := h.Up(ctx, parse(t, killed), testenv.UpOptions{Options: testenv.Options{Like: driver.Docker20}, DryRun: true})
	if err != nil || len(r.Changes) != 5 {
		t.Errorf("a dry run: %v, %v; want two networks and three containers", r.Changes, err)
	}
	if after := dump(t); after != before {
		t.Errorf("a refused set-up and a dry run left\n%s", after)
	}
	sh(t, "ip link add nd-mine type bridge; sysctl -q net.ipv6.conf.nd-mine.disable_ipv6=1; ip addr add 203.0.113.1/24 dev nd-mine; ip link set nd-mine up")
	defer sh(t, "ip link del nd-mine")
	until(t, "the device is up", func() bool { return strings.Contains(sh(t, "ip link show nd-mine"), "LOWER_UP") })
	whole := dump(t)
	for name, c := range map[string]struct{ text, want string }{
		"a device of that name":      {"networks:\n  a: {driver_opts: {com.docker.network.bridge.name: nd-mine}}\n", "already"},
		"an address in use":          {"services:\n  x: {networks: {n: {ipv4_address: 10.5.0.2}}}\n  y: {networks: {n: {ipv4_address: 10.5.0.2}}}\nnetworks:\n  n: {ipam: {config: [{subnet: 10.5.0.0/24}]}}\n", "in use already"},
		"no address left":            {"services:\n  x: {networks: [m], scale: 3}\nnetworks:\n  m: {ipam: {config: [{subnet: 10.6.0.0/30}]}}\n", "nothing free is left"},
		"a parent that is not there": {"networks:\n  v: {driver: macvlan, driver_opts: {parent: eth9}, ipam: {config: [{subnet: 10.8.0.0/24}]}}\n", "no device eth9"},
		"a subnet of the host's own": {"networks:\n  l: {ipam: {config: [{subnet: 203.0.113.0/25}]}}\n", "which this host reaches directly"},
		"a port published twice":     {"services:\n  p: {networks: [o], ports: [\"81:80\"]}\n  q: {networks: [o], ports: [\"81:80\"]}\nnetworks:\n  o: {}\n", "published by container p already"},
	} {
		if err := up(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
		if after := dump(t); after != whole {
			t.Errorf("%s: something was done (-before +after)\n%s", name, cmp.Diff(strings.Split(whole, "\n"), strings.Split(after, "\n")))
		}
	}
	sh(t, "mkdir -p /run/netdoctor; mount -t tmpfs -o size=64k full /run/netdoctor")
	if err := up(simple); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a full disk: %v, want %v", err, unix.ENOSPC)
	}
	sh(t, "mount -o remount,ro /run/netdoctor")
	if err := up(simple); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a disk that is read only: %v", err)
	}
	sh(t, "umount /run/netdoctor; rmdir /run/netdoctor")
	if after := dump(t); after != whole {
		t.Errorf("no room for the state: something was done (-before +after)\n%s", cmp.Diff(strings.Split(whole, "\n"), strings.Split(after, "\n")))
	}
	if err := up(simple); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Up(ctx, parse(t, simple), testenv.UpOptions{Options: testenv.Options{Like: driver.Docker20}}); err == nil || !strings.Contains(err.Error(), "set up like Docker 29-nftables") {
		t.Errorf("another generation: %v", err)
	}
	if out := sh(t, "ip link show nd-mine"); !strings.Contains(out, "nd-mine") {
		t.Error("the device of others is gone")
	}
	if _, err := h.Down(ctx, false); err != nil {
		t.Fatal(err)
	}
	sh(t, "ip link del nd-mine")
	if after := dump(t); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// TestTeardownWithoutState loses the state first.
func TestTeardownWithoutState(t *testing.T) {
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			sh(t, "echo 1 > /proc/sys/net/ipv4/ip_forward")
			defer sh(t, "echo 0 > /proc/sys/net/ipv4/ip_forward")
			h := &testenv.Host{}
			ctx := context.Background()
			if _, err := h.Up(ctx, parse(t, killed), testenv.UpOptions{Options: testenv.Options{Like: gen}}); err != nil {
				t.Fatal(err)
			}
			sh(t, "cd /run/netdoctor/env && rm -rf env.json networks containers files helper.sock")
			r, err := h.Down(ctx, false)
			if err != nil || len(r.Warnings) == 0 {
				t.Fatalf("%v, %v; want a warning of what only the state knew", r.Warnings, err)
			}
			after := dump(t)
			// Empty tables of iptables' own are what nobody can tell whose they are.
			for l := range strings.SplitSeq(after, "\n") {
				if !strings.HasPrefix(l, "find:") && strings.Contains(strings.ToLower(l), "netdoctor") || strings.Contains(l, "nd-") || strings.Contains(l, "veth") {
					t.Errorf("left: %s", l)
				}
			}
			if p := left(t); p != "" {
				t.Errorf("processes left: %s", p)
			}
			sh(t, "nft flush ruleset")
		})
	}
}
