package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Podman's default network is in its code, not in a file, until somebody
// changes it (containers/common libnetwork/netavark/network.go).
const (
	podDefault       = "podman"
	podDefaultID     = "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9"
	podDefaultBridge = "podman0"
	podDefaultSubnet = "10.88.0.0/16"
	podDefaultGW     = "10.88.0.1"
)

// netavarkNetwork is one file of a network configuration directory
// (containers/common libnetwork/types/network.go: Network).
type netavarkNetwork struct {
	Name      string `json:"name"`
	ID        string `json:"id"`
	Driver    string `json:"driver"`
	Interface string `json:"network_interface"`
	Created   string `json:"created"`
	Subnets   []struct {
		Subnet  string `json:"subnet"`
		Gateway string `json:"gateway"`
	} `json:"subnets"`
	IPv6       bool              `json:"ipv6_enabled"`
	Internal   bool              `json:"internal"`
	DNSEnabled bool              `json:"dns_enabled"`
	Labels     map[string]string `json:"labels"`
	Options    map[string]string `json:"options"`
}

func (n *netavarkNetwork) network(file string) snap.Network {
	v := snap.Network{
		Engine: Podman, ID: n.ID, Name: n.Name, Driver: n.Driver, Scope: "local", Internal: n.Internal, IPv6: n.IPv6,
		ICC: true, DNS: n.DNSEnabled, NoDefault: optionBool(n.Options, "no_default_route", false), Default: n.Name == podDefault, Options: n.Options, Labels: n.Labels,
		Created: timeOf(n.Created), File: file,
	}
	v.MTU, _ = strconv.Atoi(n.Options["mtu"]) // 0: the default
	for _, s := range n.Subnets {
		if p := prefixOf(s.Subnet); p.IsValid() {
			v.Pools = append(v.Pools, snap.Pool{Subnet: p, Gateway: addrOf(s.Gateway)})
		}
	}
	if n.Driver == "bridge" {
		v.Bridge = n.Interface
		// An unmanaged bridge is left as it is found; an internal network gets
		// no way out.
		v.Masquerade = !n.Internal && n.Options["mode"] != "unmanaged"
	} else {
		v.Parent, v.Mode = n.Interface, n.Options["mode"]
		if p := n.Options["parent"]; p != "" {
			v.Parent = p
		}
	}
	return v
}

// network is one of this engine's. The bridge of a user's own is in a namespace of his.
func (r *podmanRead) network(n netavarkNetwork, file string) snap.Network {
	v := n.network(file)
	if v.Engine = r.e.Name; r.e.Rootless {
		v.Bridge = ""
	}
	return v
}

// podNetworks are the networks of one store, and what its resolver answers.
type podNetworks struct {
	list  []*snap.Network
	names map[string]map[string][]string // network → container id → names
}

func (n *podNetworks) byName(name string) *snap.Network {
	for _, v := range n.list {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// networks reads a store's network files and the configuration of aardvark-dns.
func (r *podmanRead) networks(s podStore, p *proc) *podNetworks {
	nets := &podNetworks{names: map[string]map[string][]string{}}
	dir := r.m.files(p, s.netdir)
	files, _, err := readDir(dir)
	if err != nil && !errors.Is(err, snap.ErrNotFound) {
		r.gap("podman networks", fmt.Errorf("reading %s: %w", s.netdir, err))
	}
	for _, f := range files {
		if !strings.HasSuffix(f, ".json") {
			continue
		}
		var n netavarkNetwork
		if err := readJSON(filepath.Join(dir, f), &n); err != nil {
			r.gap("podman networks", err)
			continue
		}
		v := r.network(n, filepath.Join(s.netdir, f))
		nets.list = append(nets.list, &v)
	}
	for _, v := range nets.list {
		r.aardvark(v, nets, p)
	}
	for _, v := range nets.list {
		r.res.Networks = append(r.res.Networks, *v)
	}
	return nets
}

// aardvark reads the file that netavark writes for aardvark-dns, one a network
// (aardvark-dns config/mod.rs): the addresses it listens on, then a line a
// container: id, IPv4s, IPv6s, names, servers.
func (r *podmanRead) aardvark(v *snap.Network, nets *podNetworks, p *proc) {
	if !v.DNS || strings.ContainsAny(v.Name, "/\x00") {
		return
	}
	file := filepath.Join(r.runDir(), "aardvark-dns", v.Name)
	if dir := r.aardvarkDir(); dir != "" {
		file = filepath.Join(dir, v.Name)
	}
	b, err := readFile(r.m.files(p, file), maxConfig)
	if v.Internal && errors.Is(err, snap.ErrNotFound) {
		file += "%int" // nothing is asked beyond it (netavark src/dns/aardvark.rs: commit_entries)
		b, err = readFile(r.m.files(p, file), maxConfig)
	}
	if err != nil {
		// No container runs on it, or its resolver's files are gone. Containers
		// are told to ask the gateways.
		for _, pool := range v.Pools {
			if pool.Gateway.IsValid() {
				v.DNSServers = append(v.DNSServers, pool.Gateway)
			}
		}
		if !errors.Is(err, snap.ErrNotFound) {
			r.gap("podman networks", fmt.Errorf("names on network %s: %w", v.Name, err))
		}
		return
	}
	v.DNSFile = file
	v.DNSServers, nets.names[v.Name] = parseAardvark(string(b))
}

func parseAardvark(s string) (listen []netip.Addr, names map[string][]string) {
	names = map[string][]string{}
	first := true
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		if first {
			first = false
			list, _, _ := strings.Cut(line, " ") // what follows are upstream servers
			for a := range strings.SplitSeq(list, ",") {
				if ip := addrOf(a); ip.IsValid() {
					listen = append(listen, ip)
				}
			}
			continue
		}
		// Fields are separated by one blank each, and may be empty.
		f := strings.Split(line, " ")
		if len(f) >= 4 && isID(f[0]) && f[3] != "" {
			names[f[0]] = strings.Split(f[3], ",")
		}
	}
	return listen, names
}

// runDir is where netavark keeps what it knows while networks are up.
func (r *podmanRead) runDir() string {
	if r.e.Rootless {
		return filepath.Join(r.e.ExecRoot, "networks")
	}
	return podRun
}

// aardvarkDir is where the running aardvark-dns has its files, "" when it does not run.
func (r *podmanRead) aardvarkDir() string {
	for _, p := range r.m.procs {
		if p.comm == "aardvark-dns" && p.uid == r.uid && (r.e.Rootless || r.m.here(p)) {
			if v := flagValues(p.args(), "--config", "-c"); len(v) > 0 && filepath.IsAbs(v[0]) {
				return v[0]
			}
		}
	}
	return ""
}

// defaultNetwork adds Podman's built-in network where a container is on it and
// no file describes it.
func (r *podmanRead) defaultNetwork(list []*snap.Container, nets *podNetworks) {
	used := slices.ContainsFunc(list, func(c *snap.Container) bool {
		return slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool { return e.Network == podDefault })
	})
	if !used || nets.byName(podDefault) != nil {
		return
	}
	n := netavarkNetwork{Name: podDefault, ID: podDefaultID, Driver: "bridge", Interface: podDefaultBridge}
	v := r.network(n, "")
	v.Pools = []snap.Pool{{Subnet: netip.MustParsePrefix(podDefaultSubnet), Gateway: netip.MustParseAddr(podDefaultGW)}}
	r.res.Networks = append(r.res.Networks, v)
	for _, c := range list {
		for i := range c.Endpoints {
			if c.Endpoints[i].Network == podDefault {
				c.Endpoints[i].NetworkID = podDefaultID
			}
		}
	}
}

// varkRules is how netavark writes firewall rules, as it notes down itself from
// 1.9 on (netavark src/firewall/state.rs); "" when it does not tell.
func (r *podmanRead) varkRules(p *proc) string {
	b, err := readFile(r.m.files(p, filepath.Join(r.runDir(), "firewall/firewall-driver")), maxConfig)
	if err != nil && !errors.Is(err, snap.ErrNotFound) {
		r.gap("podman networks", fmt.Errorf("netavark's firewall driver: %w", err))
	}
	return map[string]string{"nftables": "netavark-nft", "iptables": "netavark-iptables", "none": "none"}[strings.TrimSpace(string(b))]
}
