package engine

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// container turns Docker's object, from the API or from its files, into ours.
// The pid is taken over unchecked; see machine.settle.
func (d *dockerContainer) container() snap.Container {
	h, ns := &d.HostConfig, &d.NetworkSettings
	c := snap.Container{
		Engine: Docker, ID: d.ID, Name: strings.TrimPrefix(d.Name, "/"), Image: d.Config.Image,
		State: d.State.word(), ExitCode: d.State.ExitCode, OOMKilled: d.State.OOMKilled, Stopped: d.HasBeenManuallyStopped, Error: d.State.Error,
		Restarts: d.RestartCount, RestartPolicy: h.RestartPolicy.Name,
		Started: timeOf(d.State.StartedAt), Finished: timeOf(d.State.FinishedAt),
		PID: d.State.Pid, SandboxKey: ns.SandboxKey, NetworkMode: networkMode(h.NetworkMode),
		Hostname: d.Config.Hostname,
		DNS:      h.Dns, DNSSearch: h.DnsSearch, DNSOptions: h.DnsOptions, ExtraHosts: h.ExtraHosts, Links: h.Links,
		ResolvConfPath: d.ResolvConfPath, HostsPath: d.HostsPath, HostnamePath: d.HostnamePath,
		Labels: d.Config.Labels, Sysctls: h.Sysctls, Privileged: h.Privileged, CapAdd: h.CapAdd,
		ArgPorts: argPorts(append([]string{d.Path}, d.Args...)), Wants: wants(d.Config.Env, append([]string{d.Path}, d.Args...)),
	}
	c.Proxies, c.NoProxy = proxies(d.Config.Env)
	if d.State.Health != nil && d.State.Health.Status != "none" {
		c.Health = d.State.Health.Status
	}
	if d.Config.Domainname != "" && c.Hostname != "" {
		c.Hostname += "." + d.Config.Domainname
	}
	for name, e := range ns.Networks {
		if e != nil {
			c.Endpoints = append(c.Endpoints, e.endpoint(name))
		}
	}
	// A running container shows what is bound; one that is not running, what
	// would be.
	ports := ns.Ports
	if !c.Running() {
		ports = h.PortBindings
	}
	c.Ports = bindings(ports)
	if c.Running() {
		c.Unbound = snap.Without(bindings(h.PortBindings), func(w snap.Port) bool {
			return w.HostPort == 0 || slices.ContainsFunc(c.Ports, func(p snap.Port) bool {
				return p.Proto == w.Proto && p.ContainerPort == w.ContainerPort
			})
		})
	}
	for p := range d.Config.ExposedPorts {
		if pp, ok := portProto(p); ok {
			c.Exposed = append(c.Exposed, pp)
		}
	}
	snap.Sort(c.Exposed, func(a, b snap.PortProto) int {
		return comparePorts(snap.Port{Proto: a.Proto, ContainerPort: a.Port}, snap.Port{Proto: b.Proto, ContainerPort: b.Port})
	})
	groups(&c)
	return c
}

// word is the state in one word. The files have flags only (moby
// daemon/container/state.go: StateString).
func (s *dockerState) word() string {
	switch {
	case s.Status == "removing":
		return "dead"
	case s.Status != "":
		return s.Status
	case s.Paused:
		return "paused"
	case s.Restarting:
		return "restarting"
	case s.Running:
		return "running"
	case s.Dead:
		return "dead"
	case timeOf(s.StartedAt).IsZero():
		return "created"
	}
	return "exited"
}

func networkMode(m string) string {
	if m == "default" || m == "" {
		return "bridge"
	}
	return m
}

func (e *dockerEndpoint) endpoint(network string) snap.Endpoint {
	ep := snap.Endpoint{
		Network: network, NetworkID: e.NetworkID, ID: e.EndpointID,
		IPv4: withLen(e.IPAddress, e.IPPrefixLen), IPv6: withLen(e.GlobalIPv6Address, e.GlobalIPv6PrefixLen),
		Gateway4: addrOf(e.Gateway), Gateway6: addrOf(e.IPv6Gateway), MAC: e.MacAddress, GwPriority: e.GwPriority,
		Aliases: e.Aliases, DNSNames: e.DNSNames, Links: e.Links,
	}
	if e.IPAMConfig != nil {
		ep.StaticIPv4, ep.StaticIPv6 = addrOf(e.IPAMConfig.IPv4Address), addrOf(e.IPAMConfig.IPv6Address)
	}
	return ep
}

func bindings(m map[string][]dockerBinding) []snap.Port {
	var out []snap.Port
	for p, list := range m {
		pp, ok := portProto(p)
		if !ok {
			continue
		}
		for _, b := range list {
			out = append(out, snap.Port{
				Proto: pp.Proto, ContainerPort: pp.Port, HostPort: portNumber(b.HostPort),
				HostIP: unspecified(addrOf(b.HostIP)),
			})
		}
	}
	return out
}

// groups fills Service and Project from the labels of compose and swarm.
func groups(c *snap.Container) {
	for _, k := range []string{"com.docker.compose.service", "io.podman.compose.service", "com.docker.swarm.service.name"} {
		if c.Service == "" {
			c.Service = c.Labels[k]
		}
	}
	for _, k := range []string{"com.docker.compose.project", "io.podman.compose.project"} {
		if c.Project == "" {
			c.Project = c.Labels[k]
		}
	}
}

// container makes what the list alone tells, for a container that could not be
// inspected.
func (s *dockerSummary) container() snap.Container {
	c := snap.Container{
		Engine: Docker, ID: s.ID, Image: s.Image, State: s.State,
		NetworkMode: networkMode(s.HostConfig.NetworkMode), Labels: s.Labels,
	}
	if len(s.Names) > 0 {
		c.Name = strings.TrimPrefix(s.Names[0], "/")
	}
	for name, e := range s.NetworkSettings.Networks {
		if e != nil {
			c.Endpoints = append(c.Endpoints, e.endpoint(name))
		}
	}
	for _, p := range s.Ports {
		if p.PublicPort != 0 {
			c.Ports = append(c.Ports, snap.Port{
				Proto: snap.Proto(p.Type), HostIP: unspecified(addrOf(p.IP)), HostPort: p.PublicPort, ContainerPort: p.PrivatePort,
			})
		}
	}
	groups(&c)
	return c
}

// Options of Docker's network drivers (moby daemon/libnetwork/drivers/bridge/labels.go,
// netlabel/labels.go).
const (
	optBridgeName = "com.docker.network.bridge.name"
	optDefault    = "com.docker.network.bridge.default_bridge"
	optICC        = "com.docker.network.bridge.enable_icc"
	optMasquerade = "com.docker.network.bridge.enable_ip_masquerade"
	optHostIP     = "com.docker.network.bridge.host_binding_ipv4"
	optGateway4   = "com.docker.network.bridge.gateway_mode_ipv4"
	optGateway6   = "com.docker.network.bridge.gateway_mode_ipv6"
	optMTU        = "com.docker.network.driver.mtu"
	optVXLAN      = "com.docker.network.driver.overlay.vxlanid_list"
)

func (d *dockerNetwork) network() snap.Network {
	o := d.Options
	n := snap.Network{
		Engine: Docker, ID: d.ID, Name: d.Name, Driver: d.Driver, Scope: d.Scope,
		Internal: d.Internal, Ingress: d.Ingress, IPv6: d.EnableIPv6,
		GatewayMode4: o[optGateway4], GatewayMode6: o[optGateway6], HostBindIP: addrOf(o[optHostIP]),
		Options: o, Labels: d.Labels, Created: timeOf(d.Created), ICC: true,
	}
	n.MTU, _ = strconv.Atoi(o[optMTU]) // 0: the default
	for _, p := range d.IPAM.Config {
		pool := snap.Pool{Subnet: prefixOf(p.Subnet), Range: prefixOf(p.IPRange), Gateway: addrOf(p.Gateway)}
		for name, a := range p.AuxiliaryAddresses {
			if pool.Aux == nil {
				pool.Aux = map[string]netip.Addr{}
			}
			pool.Aux[name] = addrOf(a)
		}
		if pool.Subnet.IsValid() {
			n.Pools = append(n.Pools, pool)
		}
	}
	switch d.Driver {
	case "bridge":
		n.Default = optionBool(o, optDefault, d.Name == "bridge")
		n.Bridge = o[optBridgeName]
		if n.Bridge == "" && n.Default {
			n.Bridge = "docker0"
		}
		if n.Bridge == "" {
			n.Bridge = "br-" + short(d.ID)
		}
		n.ICC = optionBool(o, optICC, true)
		// No masquerade for what may not get out, nor for what is routed.
		n.Masquerade = optionBool(o, optMasquerade, true) && !d.Internal && n.GatewayMode4 != "routed"
	case "macvlan", "ipvlan":
		n.Parent, n.Mode = o["parent"], o[d.Driver+"_mode"]
		if n.Mode == "" {
			n.Mode = map[string]string{"macvlan": "bridge", "ipvlan": "l2"}[d.Driver]
		}
	case "overlay":
		if vni, err := strconv.ParseUint(o[optVXLAN], 10, 24); err == nil {
			n.VNI = uint32(vni)
		}
	}
	// Docker's own resolver serves every network but the default bridge, and the
	// ingress network, which only routes (moby daemon/libnetwork/network.go: addSvcRecords).
	if !n.Default && !n.Ingress && d.Driver != "host" && d.Driver != "null" {
		n.DNS = true
		n.DNSServers = []netip.Addr{snap.DockerResolver()}
	}
	return n
}
