package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Where CNI keeps its files (libcni/api.go: CacheDir; containerd's default).
const (
	cniCache = "/var/lib/cni/results"
	cniConf  = "/etc/cni/net.d"
)

// cniResult is one attachment in libcni's cache (libcni/api.go: cachedInfo).
// The result is of version 0.3 and later in all that is read here.
type cniResult struct {
	Kind        string `json:"kind"`
	ContainerID string `json:"containerId"`
	IfName      string `json:"ifName"`
	NetworkName string `json:"networkName"`
	NetNS       string `json:"netns"`
	Capability  struct {
		PortMappings []cniPort `json:"portMappings"`
	} `json:"capabilityArgs"`
	Result struct {
		Interfaces []struct {
			Name    string `json:"name"`
			MAC     string `json:"mac"`
			Sandbox string `json:"sandbox"`
		} `json:"interfaces"`
		IPs []struct {
			Interface *int   `json:"interface"`
			Address   string `json:"address"`
			Gateway   string `json:"gateway"`
		} `json:"ips"`
		DNS struct {
			Nameservers []string `json:"nameservers"`
		} `json:"dns"`
	} `json:"result"`
}

// cniPort is a port mapping; names match in any case, as go-cni and libcni
// write them differently.
type cniPort struct {
	HostPort      uint16
	ContainerPort uint16
	Protocol      string
	HostIP        string
}

func (p cniPort) port() snap.Port {
	proto := snap.Proto(strings.ToLower(p.Protocol))
	if proto == "" {
		proto = snap.TCP
	}
	return snap.Port{Proto: proto, HostIP: unspecified(addrOf(p.HostIP)), HostPort: p.HostPort, ContainerPort: p.ContainerPort}
}

// netns is the file of the namespace: libcni notes it since 1.3, before it is the result
// that has it, with the interface there.
func (r *cniResult) netns() string {
	if r.NetNS != "" {
		return r.NetNS
	}
	for _, f := range r.Result.Interfaces {
		if f.Name == r.IfName && filepath.IsAbs(f.Sandbox) {
			return f.Sandbox
		}
	}
	return ""
}

func (r *cniResult) endpoint() snap.Endpoint {
	e := snap.Endpoint{Network: r.NetworkName, Link: r.IfName}
	for i, f := range r.Result.Interfaces {
		if f.Sandbox == "" {
			continue
		}
		if f.Name == r.IfName {
			e.MAC = f.MAC
		}
		for _, ip := range r.Result.IPs {
			if ip.Interface != nil && *ip.Interface != i {
				continue
			}
			switch p := prefixOf(ip.Address); {
			case p.Addr().Is4():
				e.IPv4, e.Gateway4 = p, addrOf(ip.Gateway)
			case p.IsValid():
				e.IPv6, e.Gateway6 = p, addrOf(ip.Gateway)
			}
		}
	}
	return e
}

func (r *cniResult) ports() []snap.Port {
	var out []snap.Port
	for _, p := range r.Capability.PortMappings {
		if p.HostPort != 0 {
			out = append(out, p.port())
		}
	}
	return out
}

// cniResults reads the cache, sorted by file name. No cache is no error.
func (m *machine) cniResults() ([]cniResult, error) {
	dir := m.path(cniCache)
	files, _, err := readDir(dir)
	if errors.Is(err, snap.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", cniCache, err)
	}
	var out []cniResult
	var errs []error
	for _, f := range files {
		var r cniResult
		if err := readJSON(filepath.Join(dir, f), &r); err != nil {
			errs = append(errs, err)
			continue
		}
		if r.Kind == "cniCacheV1" && r.ContainerID != "" && r.NetworkName != "" {
			out = append(out, r)
		}
	}
	return out, errors.Join(errs...)
}

// cniList is a configuration: a list of plugins, or one plugin by itself.
type cniList struct {
	Name          string            `json:"name"`
	NerdctlID     string            `json:"nerdctlID"`
	NerdctlLabels map[string]string `json:"nerdctlLabels"`
	Plugins       []cniPlugin       `json:"plugins"`
	cniPlugin
}

// cniPlugin is one plugin's configuration, as far as bridge, macvlan and ipvlan go.
type cniPlugin struct {
	Type   string `json:"type"`
	Bridge string `json:"bridge"`
	Master string `json:"master"`
	Mode   string `json:"mode"`
	IPMasq bool   `json:"ipMasq"`
	MTU    int    `json:"mtu"`
	GW     bool   `json:"isGateway"` // the bridge gets the gateway's address; so with Way
	Way    bool   `json:"isDefaultGateway"`
	IPAM   struct {
		Type    string `json:"type"`
		DataDir string `json:"dataDir"`
		cniRange
		Ranges [][]cniRange `json:"ranges"`
		Routes []struct {
			Dst string `json:"dst"`
		} `json:"routes"`
	} `json:"ipam"`
}

// noDefault says that whoever is attached gets no default route: the bridge plugin
// adds one where it is told to (plugins/main/bridge: calcGateways), host-local and
// static add those that they are given. What other address plugins do is not told.
func (p *cniPlugin) noDefault() bool {
	if p.Way || p.IPAM.Type != "host-local" && p.IPAM.Type != "static" {
		return false
	}
	for _, r := range p.IPAM.Routes {
		if d := prefixOf(r.Dst); d.IsValid() && d.Bits() == 0 {
			return false
		}
	}
	return true
}

type cniRange struct {
	Subnet  string `json:"subnet"`
	Gateway string `json:"gateway"`
	Start   string `json:"rangeStart"`
	End     string `json:"rangeEnd"`
}

// main is the plugin that makes the interface; the others chain on it.
func (l *cniList) main() *cniPlugin {
	if len(l.Plugins) == 0 {
		return &l.cniPlugin
	}
	return &l.Plugins[0]
}

func (l *cniList) network(engine, file string) (snap.Network, bool) {
	main := l.main()
	if l.Name == "" || main.Type == "" || main.Type == "loopback" {
		return snap.Network{}, false
	}
	n := snap.Network{
		Engine: engine, ID: l.NerdctlID, Name: l.Name, Driver: main.Type, Scope: "local",
		ICC: true, MTU: main.MTU, Masquerade: main.IPMasq, Labels: l.NerdctlLabels, File: file,
		Default: l.NerdctlLabels["nerdctl/default-network"] == "true", NoDefault: main.noDefault(),
	}
	switch main.Type {
	case "bridge":
		if n.Bridge = main.Bridge; n.Bridge == "" {
			n.Bridge = "cni0" // plugins/main/bridge: defaultBrName
		}
		if !main.GW && !main.Way {
			n.Options = map[string]string{snap.OptIsGateway: "false"}
		}
	case "macvlan", "ipvlan":
		n.Parent, n.Mode = main.Master, main.Mode
	}
	ranges := [][]cniRange{{main.IPAM.cniRange}}
	for _, set := range append(ranges, main.IPAM.Ranges...) {
		for _, r := range set {
			p := prefixOf(r.Subnet)
			if !p.IsValid() {
				continue
			}
			pool := snap.Pool{Subnet: p.Masked(), Gateway: addrOf(r.Gateway), Start: addrOf(r.Start), End: addrOf(r.End)}
			if !pool.Gateway.IsValid() {
				// plugins/ipam/host-local/backend/allocator/range.go: Canonicalize
				pool.Gateway = p.Masked().Addr().Next()
			}
			n.Pools = append(n.Pools, pool)
			n.IPv6 = n.IPv6 || p.Addr().Is6()
		}
	}
	return n, true
}

// cniNetworks reads the configurations, those of nerdctl's namespaces in their
// directories included. No directory is no error.
func (m *machine) cniNetworks(engine string) ([]snap.Network, error) {
	var out []snap.Network
	var errs []error
	var scan func(dir string, depth int)
	scan = func(dir string, depth int) {
		files, _, err := readDir(m.path(dir))
		if err != nil {
			if !errors.Is(err, snap.ErrNotFound) {
				errs = append(errs, fmt.Errorf("reading %s: %w", dir, err))
			}
			return
		}
		for _, f := range files {
			path := filepath.Join(dir, f)
			switch filepath.Ext(f) {
			case ".conflist", ".conf", ".json":
			case "":
				if depth == 0 {
					scan(path, 1)
				}
				continue
			default:
				continue
			}
			var l cniList
			if err := readJSON(m.path(path), &l); err != nil {
				errs = append(errs, err)
				continue
			}
			n, ok := l.network(engine, path)
			if !ok || slices.ContainsFunc(out, func(o snap.Network) bool { return o.Name == n.Name }) {
				continue
			}
			var err error
			if n.Leases, err = m.leases(l.main(), n.Name); err != nil {
				errs = append(errs, err)
			}
			out = append(out, n)
		}
	}
	scan(cniConf, 0)
	return out, errors.Join(errs...)
}

// readCNI reads attachments that belong to no shim: of cnitool, of ip-netns
// namespaces, of runtimes that are not known here. A namespace that is gone
// leaves its entry in the cache behind; such a one is not taken.
func readCNI(_ context.Context, m *machine) Result {
	var res Result
	gap := func(what string, err error) {
		g := snap.GapOf(what, "", err)
		g.Ref = snap.RefEngine(CNI)
		res.Gaps = append(res.Gaps, g)
	}
	results, err := m.cniResults()
	if err != nil {
		gap("cni results", err)
	}
	shims := m.shims()
	byID := map[string]*snap.Container{}
	var ids []string
	for i := range results {
		r := &results[i]
		known := slices.ContainsFunc(shims, func(s shim) bool {
			return strings.HasSuffix(r.ContainerID, s.id) || m.sandboxOf(&s) == r.ContainerID
		})
		path := r.netns()
		if known || path == "" || !exists(m.path(path)) {
			continue
		}
		c := byID[r.ContainerID]
		if c == nil {
			c = &snap.Container{Engine: CNI, ID: r.ContainerID, Name: filepath.Base(path), State: "running", SandboxKey: path, NetworkMode: r.NetworkName}
			byID[r.ContainerID] = c
			ids = append(ids, r.ContainerID)
		}
		c.Endpoints = append(c.Endpoints, r.endpoint())
		c.Ports = append(c.Ports, r.ports()...)
	}
	if len(ids) == 0 && len(shims) > 0 {
		return Result{Gaps: res.Gaps}
	}
	for _, id := range ids {
		res.Containers = append(res.Containers, *byID[id])
	}
	nets, err := m.cniNetworks(CNI)
	if err != nil {
		gap("cni networks", err)
	}
	if len(ids) == 0 {
		// A directory of configurations alone is no engine; addresses that were given are.
		if nets = snap.Without(nets, func(n snap.Network) bool { return len(n.Leases) == 0 }); len(nets) == 0 {
			return Result{Gaps: res.Gaps}
		}
	}
	res.Networks = nets
	nameNetworks(res.Containers, nets)
	for i := range results {
		for _, s := range results[i].Result.DNS.Nameservers {
			a := addrOf(s)
			for j := range res.Networks {
				n := &res.Networks[j]
				if a != (netip.Addr{}) && n.Name == results[i].NetworkName && !slices.Contains(n.DNSServers, a) {
					n.DNSServers = append(n.DNSServers, a)
				}
			}
		}
	}
	res.Engines = []snap.Engine{{Name: CNI, Reachable: true, IPTables: true, DataRoot: "/var/lib/cni", ConfigFile: cniConf}}
	return res
}

// sandboxOf is the pod sandbox that a shim's container is of, "" for none.
func (m *machine) sandboxOf(s *shim) string {
	var spec ociSpec
	if s.bundle == "" || s.namespace != "k8s.io" || readJSON(filepath.Join(s.bundle, "config.json"), &spec) != nil {
		return ""
	}
	return spec.Annotations[criSandbox]
}
