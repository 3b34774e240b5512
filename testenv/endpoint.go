package testenv

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/ipam"
	"github.com/netdoctor/netdoctor/testenv/spec"
)

// endpoint chooses a container's place on a network and adds it to the
// container.
func (c *chooser) endpoint(ctr *driver.Container, n *driver.Network, want spec.Attachment) (*snap.Endpoint, error) {
	if ctr.Endpoint(n.Net.Name) != nil {
		return nil, fmt.Errorf("container %s is on network %s already", ctr.Ctr.Name, n.Net.Name)
	}
	id := newID()
	ep := snap.Endpoint{Network: n.Net.Name, NetworkID: n.Net.ID, ID: id, Aliases: want.Aliases, MAC: want.MAC, StaticIPv4: want.IPv4, StaticIPv6: want.IPv6}
	taken := c.st.Taken(n.Net.Name)
	has := func(a netip.Addr) bool { return taken[a] }
	for _, v6 := range []bool{false, true} {
		p, static := n.Pool(v6), want.IPv4
		if v6 {
			static = want.IPv6
		}
		if !p.Subnet.IsValid() {
			if static.IsValid() {
				return nil, fmt.Errorf("container %s: network %s has no addresses like %s", ctr.Ctr.Name, n.Net.Name, static)
			}
			continue
		}
		sub := ipam.Subnet{Prefix: p.Subnet, Range: p.Range, Gateway: p.Gateway}
		ip := static
		var err error
		if static.IsValid() {
			err = sub.Static(static, has)
		} else {
			ip, err = sub.Lowest(has)
		}
		if err != nil {
			return nil, fmt.Errorf("container %s on network %s: %w", ctr.Ctr.Name, n.Net.Name, err)
		}
		if v6 {
			ep.IPv6, ep.Gateway6 = netip.PrefixFrom(ip, p.Subnet.Bits()), p.Gateway
		} else {
			ep.IPv4, ep.Gateway4 = netip.PrefixFrom(ip, p.Subnet.Bits()), p.Gateway
		}
	}
	if ep.MAC == "" {
		ep.MAC = newMAC()
		if c.st.Env.Env.Gen == driver.Docker20 || n.Net.Driver == "overlay" {
			ep.MAC = driver.MACOf(ep.IPv4.Addr())
		}
	}
	if n.Net.Driver == "ipvlan" {
		ep.MAC = ""
	}
	ep.Link = driver.NextLink(ctr, n.Prefix)
	if n.Net.Driver == "bridge" || n.Net.Driver == "overlay" {
		ep.HostLink = "veth" + id[:7]
	}
	if n.Net.DNS && !ctr.Foreign {
		ep.DNSNames = dnsNames(ctr, want.Aliases)
	}
	ctr.Ctr.Endpoints = append(ctr.Ctr.Endpoints, ep)
	if ctr.Order == nil {
		ctr.Order, ctr.Priority = map[string]int{}, map[string]int{}
	}
	ctr.Order[n.Net.Name] = c.seq()
	if want.Priority != 0 {
		ctr.Priority[n.Net.Name] = want.Priority
	}
	return &ctr.Ctr.Endpoints[len(ctr.Ctr.Endpoints)-1], nil
}

// dnsNames are a container's names on a custom network: the first is the one
// that its address leads back to (moby daemon/container_operations.go:
// buildEndpointDNSNames).
func dnsNames(ctr *driver.Container, aliases []string) []string {
	var out []string
	seen := map[string]bool{"": true}
	for _, n := range append(append([]string{ctr.Ctr.Name}, aliases...), ctr.Ctr.ID[:12], ctr.Ctr.Hostname) {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// container begins a container; its networks are added by endpoint.
func (c *chooser) container(name string, want *spec.Service) *driver.Container {
	id := newID()
	ctr := &driver.Container{OwnContainer: snap.OwnContainer{Seq: c.seq()}, Command: want.Command, Environ: want.Environment, Ctr: snap.Container{
		Ref: driver.Engine + ":" + name, Engine: driver.Engine, ID: id, Name: name, State: "created", NetworkMode: want.NetworkMode,
		Hostname: want.Hostname, DNSSearch: want.DNSSearch, DNSOptions: want.DNSOptions, ExtraHosts: want.ExtraHosts, Links: want.Links,
		Service: want.Name, Sysctls: want.Sysctls, SandboxKey: c.st.Env.Env.NetnsPath(id[:12]), Endpoints: []snap.Endpoint{}, Ports: []snap.Port{},
	}}
	for _, a := range want.DNS {
		ctr.Ctr.DNS = append(ctr.Ctr.DNS, a.String())
	}
	if want.NetworkMode == "" && len(want.Networks) > 0 {
		ctr.Ctr.NetworkMode = want.Networks[0].Network
	}
	files := c.dir.Files(id)
	ctr.Ctr.ResolvConfPath, ctr.Ctr.HostsPath, ctr.Ctr.HostnamePath = files+"/resolv.conf", files+"/hosts", files+"/hostname"
	return ctr
}

// resolver gives the container a place for the embedded resolver if it is on a
// network with names and has none yet.
func (c *chooser) resolver(ctr *driver.Container) bool {
	if ctr.DNSPort != 0 || ctr.Foreign || ctr.Shared() {
		return false
	}
	nets := c.st.Nets()
	for _, ep := range ctr.Ctr.Endpoints {
		if n := nets[ep.Network]; n != nil && n.Net.DNS {
			// Nothing else is in a namespace that was made just now, and what is in
			// an older one listens in the same range by chance only.
			ctr.DNSPort = uint16(32768 + rand.IntN(28000)) // #nosec G404 -- a port is no secret
			return true
		}
	}
	return false
}

// ports chooses host ports. free says whether a port can be had.
func (c *chooser) ports(ctr *driver.Container, n *driver.Network, want []spec.Port, free func(snap.Port) error) error {
	for _, p := range want {
		x := snap.Port{Proto: snap.Proto(p.Proto), HostIP: p.HostIP, HostPort: p.HostPort, ContainerPort: p.ContainerPort}
		var list []snap.Port
		switch {
		case x.HostIP.IsValid():
			list = []snap.Port{x}
		case n != nil && n.Net.HostBindIP.IsValid():
			x.HostIP = n.Net.HostBindIP
			list = []snap.Port{x}
		default:
			x.HostIP = netip.IPv4Unspecified()
			y := x
			y.HostIP = netip.IPv6Unspecified()
			list = []snap.Port{x, y}
		}
		if err := c.hostPort(ctr, list, free); err != nil {
			return err
		}
		ctr.Ctr.Ports = append(ctr.Ctr.Ports, list...)
	}
	return nil
}

// hostPort checks the host port, or chooses one from the kernel's range.
func (c *chooser) hostPort(ctr *driver.Container, list []snap.Port, free func(snap.Port) error) error {
	try := func() error {
		for _, p := range list {
			if o := c.publisher(p, ctr); o != "" {
				return fmt.Errorf("container %s: port %d/%s is published by container %s already", ctr.Ctr.Name, p.HostPort, p.Proto, o)
			}
			if err := free(p); err != nil {
				return fmt.Errorf("container %s: %w", ctr.Ctr.Name, err)
			}
		}
		return nil
	}
	if list[0].HostPort != 0 {
		return try()
	}
	var err error
	for range 200 {
		port := uint16(32768 + rand.IntN(28232)) // #nosec G404 -- a port is no secret
		for i := range list {
			list[i].HostPort = port
		}
		if err = try(); err == nil {
			return nil
		}
	}
	return err
}

// publisher is the container that has the host port, "" when none has.
func (c *chooser) publisher(p snap.Port, but *driver.Container) string {
	for i := range c.st.Containers {
		x := &c.st.Containers[i]
		if x.Ctr.ID == but.Ctr.ID {
			continue
		}
		for _, q := range x.Ctr.Ports {
			same := q.HostIP == p.HostIP || q.HostIP.IsUnspecified() && q.HostIP.Is4() == p.HostIP.Is4() || p.HostIP.IsUnspecified() && q.HostIP.Is4() == p.HostIP.Is4()
			if q.Proto == p.Proto && q.HostPort == p.HostPort && same {
				return x.Ctr.Name
			}
		}
	}
	for _, q := range but.Ctr.Ports {
		if q.Proto == p.Proto && q.HostPort == p.HostPort && q.HostIP == p.HostIP {
			return but.Ctr.Name
		}
	}
	return ""
}
