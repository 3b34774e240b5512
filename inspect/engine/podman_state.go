package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/engine/boltfile"
	"github.com/netdoctor/netdoctor/inspect/engine/sqlitefile"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// podConfig is a container's configuration as libpod keeps it (podman
// libpod/container_config.go), in both its databases.
type podConfig struct {
	ID              string                `json:"id"`
	Name            string                `json:"name"`
	Image           string                `json:"rootfsImageName"`
	Privileged      bool                  `json:"privileged"`
	CreateNetNS     bool                  `json:"createNetNS"`
	Infra           bool                  `json:"pause"`
	NetNsCtr        string                `json:"netNsCtr"`
	NetworkMode     string                `json:"networkMode"`
	Networks        map[string]podNetwork `json:"newNetworks"`
	NewPortMappings []podPort             `json:"newPortMappings"`
	DNSServer       []string              `json:"dnsServer"`
	DNSSearch       []string              `json:"dnsSearch"`
	DNSOption       []string              `json:"dnsOption"`
	HostAdd         []string              `json:"hostsAdd"`
	Labels          map[string]string     `json:"labels"`
	RestartPolicy   string                `json:"restart_policy"`
	LogPath         string                `json:"logPath"`
	Exposed         map[string][]string   `json:"exposedPorts"` // "80" → ["tcp"]
	Spec            struct {
		Hostname string `json:"hostname"`
		Process  struct {
			Args []string `json:"args"`
			Env  []string `json:"env"`
		} `json:"process"`
		Linux struct {
			Sysctl     map[string]string `json:"sysctl"`
			Namespaces []struct {
				Type string `json:"type"`
				Path string `json:"path"`
			} `json:"namespaces"`
		} `json:"linux"`
	} `json:"spec"`
}

// podNetwork is how a container joins a network (containers/common
// libnetwork/types: PerNetworkOptions).
type podNetwork struct {
	StaticIPs     []string `json:"static_ips"`
	Aliases       []string `json:"aliases"`
	InterfaceName string   `json:"interface_name"`
}

// podPort is a published range of ports.
type podPort struct {
	HostIP        string `json:"host_ip"`
	ContainerPort uint16 `json:"container_port"`
	HostPort      uint16 `json:"host_port"`
	Range         uint16 `json:"range"`
	Protocol      string `json:"protocol"` // "tcp", "tcp,udp"
}

// podState is a container's state (libpod/container.go: ContainerState).
type podState struct {
	State        int    `json:"state"`
	PID          int    `json:"pid"`
	ExitCode     int    `json:"exitCode"`
	OOMKilled    bool   `json:"oomKilled"`
	Stopped      bool   `json:"stoppedByUser"`
	Started      string `json:"startedTime"`
	Finished     string `json:"finishedTime"`
	RestartCount int    `json:"restartCount"`
	// NetNS is the path of its namespace since 4.6; before that it is a key of
	// the database.
	NetNS         string               `json:"netns"`
	NetworkStatus map[string]podStatus `json:"networkStatus"`
	BindMounts    map[string]string    `json:"bindMounts"`
}

// podStatus is what the container got on a network.
type podStatus struct {
	Interfaces map[string]struct {
		MAC     string `json:"mac_address"`
		Subnets []struct {
			IPNet   string `json:"ipnet"`
			Gateway string `json:"gateway"`
		} `json:"subnets"`
	} `json:"interfaces"`
}

// podRecord is one container of a database.
type podRecord struct {
	config podConfig
	state  podState
}

// podRecords reads the databases of a store (libpod/runtime.go: getDBState,
// libpod/sqlite_state.go: NewSqliteState): below the root, and in the run root
// for a transient store.
func podRecords(root, runroot string) ([]podRecord, error) {
	var out []podRecord
	var errs []error
	read := 0
	take := func(list []podRecord, err error) {
		switch {
		case err == nil:
			read++
			for _, r := range list {
				if !slices.ContainsFunc(out, func(o podRecord) bool { return o.config.ID == r.config.ID }) {
					out = append(out, r)
				}
			}
		case !errors.Is(err, snap.ErrNotFound):
			errs = append(errs, err)
		}
	}
	take(boltRecords(filepath.Join(root, "libpod/bolt_state.db")))
	for _, f := range []string{"libpod/db.sql", "db.sql"} {
		take(sqliteRecords(filepath.Join(root, f)))
	}
	take(sqliteRecords(filepath.Join(runroot, "db.sql")))
	if read == 0 && len(errs) == 0 {
		errs = append(errs, snap.NotFoundf("no database in %s", root))
	}
	if len(errs) > 0 {
		return out, errs[0] // the others say the same of the other files
	}
	return out, nil
}

// boltRecords reads bolt_state.db (libpod/boltdb_state.go): ctr/ID holds
// "config", "state", "networks" and "netns".
func boltRecords(path string) ([]podRecord, error) {
	b, err := readFile(path, maxStore)
	if err != nil {
		return nil, err
	}
	db, err := boltfile.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	ctrs, ok, err := db.Root().Open("ctr")
	if err != nil || !ok {
		return nil, fmt.Errorf("reading %s: bucket ctr: %w", path, errors.Join(err, snap.ErrUnsupported))
	}
	list, err := ctrs.Entries()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var out []podRecord
	for _, e := range list {
		if e.Bucket == nil {
			continue
		}
		r, err := boltRecord(*e.Bucket)
		if err != nil {
			return nil, fmt.Errorf("reading %s: container %s: %w", path, short(string(e.Key)), err)
		}
		if isID(r.config.ID) {
			out = append(out, r)
		}
	}
	return out, nil
}

func boltRecord(b boltfile.Bucket) (podRecord, error) {
	r := podRecord{}
	list, err := b.Entries()
	if err != nil {
		return r, err
	}
	for _, e := range list {
		switch string(e.Key) {
		case "config":
			err = json.Unmarshal(e.Value, &r.config)
		case "state":
			err = json.Unmarshal(e.Value, &r.state)
		case "netns":
			r.state.NetNS = string(e.Value)
		}
		if err != nil {
			return r, err
		}
	}
	// After the configuration, in which older versions have them, too.
	if nets, ok, err := b.Open("networks"); err == nil && ok {
		entries, err := nets.Entries()
		if err != nil {
			return r, err
		}
		r.config.Networks = map[string]podNetwork{}
		for _, e := range entries {
			var n podNetwork
			_ = json.Unmarshal(e.Value, &n) // its name is what counts
			r.config.Networks[string(e.Key)] = n
		}
	}
	return r, nil
}

// sqliteRecords reads db.sql (libpod/sqlite_state_internal.go).
func sqliteRecords(path string) ([]podRecord, error) {
	b, err := readFile(path, maxStore)
	if err != nil {
		return nil, err
	}
	db, err := sqlitefile.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	configs, err := db.Table("ContainerConfig")
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	states, err := db.Table("ContainerState")
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var out []podRecord
	for _, row := range configs {
		var r podRecord
		if len(row) < 4 || json.Unmarshal([]byte(row[3].Text()), &r.config) != nil || !isID(r.config.ID) {
			continue
		}
		for _, s := range states {
			if len(s) >= 4 && s[0].Text() == r.config.ID {
				// What is missing stays unknown. The column State is that of the day the
				// container was made: only the text is written anew (libpod/sqlite_state.go: SaveContainer).
				_ = json.Unmarshal([]byte(s[3].Text()), &r.state)
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// podStates are libpod's container states by number (libpod/define/containerstate.go).
func podStates(n int) string {
	switch n {
	case 1, 2:
		return "created"
	case 3:
		return "running"
	case 4, 6:
		return "exited"
	case 5:
		return "paused"
	case 7:
		return "dead" // being removed
	case 8:
		return "running" // being stopped
	}
	return "created"
}

func (r *podRecord) container() snap.Container {
	c, s := &r.config, &r.state
	v := snap.Container{
		Engine: Podman, ID: c.ID, Name: c.Name, Image: c.Image, State: podStates(s.State),
		ExitCode: s.ExitCode, OOMKilled: s.OOMKilled, Stopped: s.Stopped, Infra: c.Infra, Restarts: s.RestartCount, RestartPolicy: c.RestartPolicy,
		Started: timeOf(s.Started), Finished: timeOf(s.Finished), PID: s.PID, SandboxKey: s.NetNS,
		NetworkMode: r.mode(), Hostname: c.Spec.Hostname,
		DNS: c.DNSServer, DNSSearch: c.DNSSearch, DNSOptions: c.DNSOption, ExtraHosts: c.HostAdd,
		ResolvConfPath: s.BindMounts["/etc/resolv.conf"], HostsPath: s.BindMounts["/etc/hosts"], HostnamePath: s.BindMounts["/etc/hostname"],
		Labels: c.Labels, Sysctls: c.Spec.Linux.Sysctl, Privileged: c.Privileged,
		ArgPorts: argPorts(c.Spec.Process.Args), Wants: wants(c.Spec.Process.Env, c.Spec.Process.Args),
	}
	v.Proxies, v.NoProxy = proxies(c.Spec.Process.Env)
	for name, n := range c.Networks {
		v.Endpoints = append(v.Endpoints, r.endpoint(name, n))
	}
	six := slices.ContainsFunc(v.Endpoints, func(e snap.Endpoint) bool { return e.IPv6.IsValid() })
	for _, p := range c.NewPortMappings {
		v.Ports = append(v.Ports, p.ports(six)...)
	}
	for num, protos := range c.Exposed {
		for _, proto := range protos {
			if pp, ok := portProto(num + "/" + proto); ok {
				v.Exposed = append(v.Exposed, pp)
			}
		}
	}
	snap.Sort(v.Exposed, func(a, b snap.PortProto) int {
		return comparePorts(snap.Port{Proto: a.Proto, ContainerPort: a.Port}, snap.Port{Proto: b.Proto, ContainerPort: b.Port})
	})
	groups(&v)
	return v
}

// mode puts the network mode into snap's words.
func (r *podRecord) mode() string {
	c := &r.config
	if c.NetNsCtr != "" {
		return "container:" + c.NetNsCtr
	}
	own, path := false, ""
	for _, n := range c.Spec.Linux.Namespaces {
		if n.Type == "network" {
			own, path = true, n.Path
		}
	}
	switch {
	case !own && !c.CreateNetNS:
		return "host"
	case !c.CreateNetNS && path != "":
		return "ns:" + path
	case !c.CreateNetNS:
		return "none" // a namespace that Podman sets nothing up in
	case c.NetworkMode == "" || c.NetworkMode == "bridge":
		if len(c.Networks) == 1 {
			for name := range c.Networks {
				if name != podDefault {
					return name
				}
			}
		}
		return "bridge"
	}
	return c.NetworkMode
}

func (r *podRecord) endpoint(name string, n podNetwork) snap.Endpoint {
	e := snap.Endpoint{Network: name, Aliases: n.Aliases}
	for _, a := range n.StaticIPs {
		if ip := addrOf(a); ip.Is4() {
			e.StaticIPv4 = ip
		} else if ip.IsValid() {
			e.StaticIPv6 = ip
		}
	}
	st := r.state.NetworkStatus[name]
	ifaces := make([]string, 0, len(st.Interfaces))
	for i := range st.Interfaces {
		ifaces = append(ifaces, i)
	}
	slices.Sort(ifaces)
	for _, i := range ifaces {
		e.MAC = st.Interfaces[i].MAC
		for _, s := range st.Interfaces[i].Subnets {
			p := prefixOf(s.IPNet)
			switch {
			case p.Addr().Is4():
				e.IPv4, e.Gateway4 = p, addrOf(s.Gateway)
			case p.IsValid():
				e.IPv6, e.Gateway6 = p, addrOf(s.Gateway)
			}
		}
	}
	return e
}

// ports unrolls a range; an empty one is one port. One without an address is
// published for each family that the container has an address of (netavark
// src/network/bridge.rs: setup_port_forward).
func (p podPort) ports(six bool) []snap.Port {
	at := []netip.Addr{unspecified(addrOf(p.HostIP))}
	if six && p.HostIP == "" {
		at = append(at, netip.IPv6Unspecified())
	}
	var out []snap.Port
	for proto := range strings.SplitSeq(p.Protocol, ",") {
		if proto == "" {
			proto = "tcp"
		}
		for i := range max(p.Range, 1) {
			if p.HostPort > 65535-i || p.ContainerPort > 65535-i {
				break
			}
			for _, ip := range at {
				out = append(out, snap.Port{Proto: snap.Proto(proto), HostIP: ip, HostPort: p.HostPort + i, ContainerPort: p.ContainerPort + i})
			}
		}
	}
	return out
}
