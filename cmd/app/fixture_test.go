package app

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

var update = flag.Bool("update", false, "write testdata")

// builder makes a small host by hand: bridges, and containers on them.
type builder struct {
	s     *snap.Snapshot
	next  int
	inode uint64
}

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// add puts a namespace with a loopback into the snapshot.
func (b *builder) netns(id string, class snap.NetnsClass, names ...string) int {
	b.inode++
	ns := snap.Netns{
		ID: id, Inode: 4026532000 + b.inode, Path: "/run/netns/" + id, Names: append([]string{}, names...), Containers: []string{}, Class: class,
		Pids: []int{int(1000 + b.inode)}, FDB: []snap.FDBEntry{}, Neighs: []snap.Neigh{}, Ruleset: snap.Ruleset{Tables: []snap.Table{}},
		Sysctls: map[string]string{"net/ipv4/ip_forward": "1", "net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0", "net/ipv4/ip_default_ttl": "64", "net/ipv4/icmp_echo_ignore_all": "0"},
		Links:   []snap.Link{{Index: 1, Name: "lo", Kind: "loopback", MTU: 65536, Up: true, LowerUp: true, Running: true, OperState: "unknown", Loopback: true, PeerNSID: -1}},
		Addrs:   []snap.Addr{{Index: 1, Prefix: pfx("127.0.0.1/8"), Scope: "host", ValidMs: -1, PreferredMs: -1}},
		Rules:   []snap.PolicyRule{},
		Sockets: []snap.Socket{},
	}
	for i, table := range []uint32{snap.TableLocal, snap.TableMain, snap.TableDefault} {
		ns.Rules = append(ns.Rules, snap.PolicyRule{Family: snap.IPv4, Priority: []uint32{0, 32766, 32767}[i], Action: "table", Table: table, SuppressPrefixLen: -1, SuppressIfgroup: -1})
	}
	ns.Routes = []snap.Route{
		{Family: snap.IPv4, Table: snap.TableLocal, Type: "local", Dst: pfx("127.0.0.0/8"), Scope: "host", Protocol: "kernel", PrefSrc: netip.MustParseAddr("127.0.0.1"), Oif: 1},
		{Family: snap.IPv4, Table: snap.TableLocal, Type: "local", Dst: pfx("127.0.0.1/32"), Scope: "host", Protocol: "kernel", PrefSrc: netip.MustParseAddr("127.0.0.1"), Oif: 1},
	}
	b.s.Netns = append(b.s.Netns, ns)
	return len(b.s.Netns) - 1
}

// address gives a device an address with its routes.
func (b *builder) address(n, index int, p string) {
	ns := &b.s.Netns[n]
	a := pfx(p)
	ns.Addrs = append(ns.Addrs, snap.Addr{Index: index, Prefix: a, Scope: "global", Flags: []string{"permanent"}, ValidMs: -1, PreferredMs: -1})
	ns.Routes = append(
		ns.Routes,
		snap.Route{Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: a.Masked(), Scope: "link", Protocol: "kernel", PrefSrc: a.Addr(), Oif: index},
		snap.Route{Family: snap.IPv4, Table: snap.TableLocal, Type: "local", Dst: netip.PrefixFrom(a.Addr(), 32), Scope: "host", Protocol: "kernel", PrefSrc: a.Addr(), Oif: index},
	)
}

func (b *builder) link(n int, l snap.Link) int {
	ns := &b.s.Netns[n]
	l.Index, l.MTU, l.OperState, l.Broadcast = len(ns.Links)+1, 1500, "up", true
	l.Up, l.LowerUp, l.Running = true, true, true
	if l.PeerNetns == "" {
		l.PeerNSID = -1
	}
	b.next++
	l.MAC = fmt.Sprintf("02:42:00:00:00:%02x", b.next)
	ns.Links = append(ns.Links, l)
	return l.Index
}

// bridge makes a network with its bridge on the host: routed as it is, and
// without names.
func (b *builder) bridge(name, dev, gw string) {
	i := b.link(0, snap.Link{Name: dev, Kind: "bridge", Bridge: &snap.Bridge{AgeingMs: 300000, ForwardDelayMs: 15000, DefaultPVID: 1}})
	b.address(0, i, gw)
	p := pfx(gw)
	b.s.Networks = append(b.s.Networks, snap.Network{
		Ref: "docker:" + name, Engine: "docker", ID: fmt.Sprintf("%s%060x", "ab", len(b.s.Networks)), Name: name, Driver: "bridge", Scope: "local",
		Pools: []snap.Pool{{Subnet: p.Masked(), Gateway: p.Addr()}}, Bridge: dev, ICC: true, Default: true,
	})
}

// container puts a running container on a network.
func (b *builder) container(engine, name, network, ip string, ports ...snap.Port) {
	var nw *snap.Network
	for i := range b.s.Networks {
		if b.s.Networks[i].Name == network {
			nw = &b.s.Networks[i]
		}
	}
	gw := nw.Pools[0]
	n := b.netns(name, snap.ClassContainer)
	ns := &b.s.Netns[n]
	ref := engine + ":" + name
	ns.Containers = append(ns.Containers, ref)
	host := &b.s.Netns[0]
	veth := fmt.Sprintf("veth%07x", 0x3f1c+len(b.s.Containers))
	inside := b.link(n, snap.Link{Name: "eth0", Kind: "veth", Peer: len(host.Links) + 1, PeerNetns: "host"})
	br := host.Link(nw.Bridge).Index
	out := b.link(0, snap.Link{Name: veth, Kind: "veth", Peer: inside, PeerNSID: n, PeerNetns: name, Master: br, Port: &snap.BridgePort{State: snap.PortForwarding, Learning: true, Flood: true, McastFlood: true, BcastFlood: true}})
	a := netip.PrefixFrom(netip.MustParseAddr(ip), gw.Subnet.Bits())
	b.address(n, inside, a.String())
	ns = &b.s.Netns[n]
	ns.Routes = append(ns.Routes, snap.Route{Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: pfx("0.0.0.0/0"), Scope: "global", Protocol: "boot", Gateway: gw.Gateway, Oif: inside})
	for _, p := range ports {
		ns.Sockets = append(ns.Sockets, snap.Socket{Proto: p.Proto, Family: snap.IPv4, Local: netip.AddrPortFrom(netip.IPv4Unspecified(), p.ContainerPort), Backlog: 128, Process: &snap.Process{PID: 1000 + n, Name: name + "d", State: "S", Netns: name}})
	}
	b.s.Containers = append(b.s.Containers, snap.Container{
		Ref: ref, Engine: engine, ID: fmt.Sprintf("%02x%062x", 0xc0+len(b.s.Containers), len(b.s.Containers)+1), Name: name, Image: name + ":1", State: "running",
		PID: 1000 + n, Netns: name, NetworkMode: network, Hostname: name, Process: &snap.Process{PID: 1000 + n, Name: name + "d", State: "S"},
		Endpoints: []snap.Endpoint{{
			Network: network, NetworkID: nw.ID, IPv4: a, Gateway4: gw.Gateway, MAC: ns.Links[1].MAC,
			Aliases: []string{}, DNSNames: []string{name}, Link: "eth0", HostLink: host.LinkAt(out).Name,
		}},
		Ports: []snap.Port{},
	})
	b.s.Resolvers = append(b.s.Resolvers, snap.Resolver{
		Owner: ref, Netns: name, Source: "root:/etc/resolv.conf", Hosts: []snap.HostsLine{{Line: 1, Addr: netip.MustParseAddr("127.0.0.1"), Names: []string{"localhost"}}},
		ResolvConf: snap.ResolvConf{
			Exists: true, Raw: "nameserver 198.51.100.53\n", Nameservers: []netip.Addr{netip.MustParseAddr("198.51.100.53")},
			Search: []string{}, Options: []string{}, Ndots: 1, TimeoutS: 5, Attempts: 2,
		},
	})
}

// fixture is a healthy little host without any firewall rule:
//
//	web .12 (80), db .13 (5432), client .11 on app (172.30.1.0/24), lonely on
//	other, an exited crashy, a podman container that is called web, too, in
//	another engine, and plain namespaces lab-blue and lab-green.
func fixture() *snap.Snapshot {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := &builder{s: &snap.Snapshot{
		Schema: snap.Schema, Tool: "netdoctor test", Taken: snap.Window{Start: at, End: at.Add(200 * time.Millisecond)}, Redacted: []string{},
		Host:       snap.Host{Name: "host.example.org", Kernel: "6.12.0", Arch: "x86_64", Distro: "Debian GNU/Linux 13", Netns: "host", Modules: []string{}, Tools: map[string]string{"ip": "/usr/sbin/ip"}, SysctlFiles: []snap.SysctlLine{}, Services: map[string]int{}},
		Engines:    []snap.Engine{{Name: "docker", Version: "29.0.1", Reachable: true, Rules: "none", IPForward: true, UserlandProxy: true, PID: 700}},
		Containers: []snap.Container{}, Networks: []snap.Network{}, Resolvers: []snap.Resolver{}, Probes: []snap.Probe{}, Gaps: []snap.Gap{},
	}}
	b.netns("host", snap.ClassHost)
	eth0 := b.link(0, snap.Link{Name: "eth0"})
	b.address(0, eth0, "192.0.2.10/24")
	b.s.Netns[0].Routes = append(b.s.Netns[0].Routes, snap.Route{Family: snap.IPv4, Table: snap.TableMain, Type: "unicast", Dst: pfx("0.0.0.0/0"), Scope: "global", Protocol: "static", Gateway: netip.MustParseAddr("192.0.2.1"), Oif: eth0})
	b.bridge("app", "br-app", "172.30.1.1/24")
	b.bridge("other", "br-other", "172.30.2.1/24")
	b.container("docker", "client", "app", "172.30.1.11")
	b.container("docker", "web", "app", "172.30.1.12", snap.Port{Proto: snap.TCP, ContainerPort: 80})
	b.container("docker", "db", "app", "172.30.1.13", snap.Port{Proto: snap.TCP, ContainerPort: 5432})
	b.container("docker", "lonely", "other", "172.30.2.11")
	b.s.Containers = append(
		b.s.Containers,
		snap.Container{Ref: "docker:crashy", Engine: "docker", ID: fmt.Sprintf("dead%060x", 1), Name: "crashy", State: "exited", ExitCode: 1, NetworkMode: "app", Endpoints: []snap.Endpoint{{Network: "app", NetworkID: b.s.Networks[0].ID}}, Ports: []snap.Port{}},
		snap.Container{Ref: "docker:twin", Engine: "docker", ID: fmt.Sprintf("beef%060x", 1), Name: "twin", State: "exited", NetworkMode: "app", Endpoints: []snap.Endpoint{}, Ports: []snap.Port{}},
		snap.Container{Ref: "podman:twin", Engine: "podman", ID: fmt.Sprintf("beef%060x", 2), Name: "twin", State: "exited", NetworkMode: "bridge", Endpoints: []snap.Endpoint{}, Ports: []snap.Port{}},
	)
	b.netns("lab-blue", snap.ClassForeign, "lab-blue")
	b.netns("lab-green", snap.ClassForeign, "lab-green")
	return b.s
}

// broken is the same host with the bridge of app down.
func broken() *snap.Snapshot {
	s := fixture()
	l := s.Netns[0].Link("br-app")
	l.Up, l.LowerUp, l.Running, l.OperState = false, false, false, "down"
	var keep []snap.Route
	for _, r := range s.Netns[0].Routes {
		if r.Oif != l.Index || r.Table == snap.TableLocal {
			keep = append(keep, r)
		}
	}
	s.Netns[0].Routes = keep
	return s
}

// blind is the same host read without the privilege to read rule sets.
func blind() *snap.Snapshot {
	s := fixture()
	s.Gaps = append(s.Gaps, snap.Gap{What: "ruleset", Netns: "host", Kind: "permission", Why: "reading nf_tables: permission denied", Needs: "run as root"})
	return s
}

// TestFixturesAreCurrent keeps the files that the scripts of cmd/cli read.
func TestFixturesAreCurrent(t *testing.T) {
	for name, s := range map[string]*snap.Snapshot{"healthy": fixture(), "broken": broken(), "blind": blind()} {
		data, err := json.MarshalIndent(s, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		path := "../cli/testdata/" + name + ".json"
		if *update {
			if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.TrimSpace(have), data) {
			t.Errorf("%s is not what fixture_test.go makes: go test ./cmd/app -update", path)
		}
	}
}
