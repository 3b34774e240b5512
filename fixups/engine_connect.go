package fixups

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// EngineConnect puts a container on a network of its engine.
type EngineConnect struct {
	Ctr
	Network   string     `json:"network"` // its name
	NetworkID string     `json:"networkId,omitempty"`
	IPv4      netip.Addr `json:"ipv4,omitzero"` // zero: the engine chooses
	IPv6      netip.Addr `json:"ipv6,omitzero"`
	Aliases   []string   `json:"aliases,omitempty"`
}

// EngineDisconnect takes a container off a network.
type EngineDisconnect struct {
	Ctr
	Network   string `json:"network"`
	NetworkID string `json:"networkId,omitempty"`
}

func (*EngineConnect) Kind() string    { return "engine-connect" }
func (*EngineDisconnect) Kind() string { return "engine-disconnect" }

func (o *EngineConnect) Describe() string {
	d := fmt.Sprintf("connect container %s to network %s", o.Name, o.Network)
	if o.IPv4.IsValid() {
		d += " as " + o.IPv4.String()
	}
	for _, a := range o.Aliases {
		d += ", alias " + a
	}
	return d
}

func (o *EngineDisconnect) Describe() string {
	return fmt.Sprintf("disconnect container %s from network %s", o.Name, o.Network)
}

func (o *EngineConnect) Shell() []string {
	args := []string{"network", "connect"}
	if o.IPv4.IsValid() {
		args = append(args, "--ip", o.IPv4.String())
	}
	if o.IPv6.IsValid() {
		args = append(args, "--ip6", o.IPv6.String())
	}
	for _, a := range o.Aliases {
		args = append(args, "--alias", a)
	}
	return []string{o.line(append(args, o.Network, o.Name)...)}
}

func (o *EngineDisconnect) Shell() []string {
	return []string{o.line("network", "disconnect", o.Network, o.Name)}
}

// endpoint is the index of the container's endpoint on the network, -1 for none.
func endpoint(c *snap.Container, network string) int {
	return slices.IndexFunc(c.Endpoints, func(e snap.Endpoint) bool { return e.Network == network })
}

func (c Ctr) network(s *snap.Snapshot, name string) (*snap.Network, error) {
	for i := range s.Networks {
		if n := &s.Networks[i]; n.Engine == c.Engine && n.Name == name {
			return n, nil
		}
	}
	return nil, snap.NotFoundf("no network %s of %s", name, c.Engine)
}

// On models what an engine does for a bridge network: a veth pair into the
// bridge, the address, and a default route where there was none. Other drivers
// only get the endpoint.
func (o *EngineConnect) On(s *snap.Snapshot) error {
	c, err := o.find(s)
	if err != nil {
		return err
	}
	n, err := o.network(s, o.Network)
	if err != nil {
		return err
	}
	if endpoint(c, o.Network) >= 0 {
		return fmt.Errorf("container %s is on network %s already", o.Name, o.Network)
	}
	e := snap.Endpoint{Network: n.Name, NetworkID: n.ID, Aliases: slices.Clone(o.Aliases), StaticIPv4: o.IPv4, StaticIPv6: o.IPv6}
	if !n.Default {
		e.DNSNames = o.names(c)
	}
	if c.Running() {
		if err := o.address(s, n, &e); err != nil {
			return err
		}
	}
	host, ns := s.HostNs(), s.Ns(c.Netns)
	if host != nil && ns != nil && c.Running() && n.Driver == "bridge" && n.Bridge != "" && e.IPv4.IsValid() {
		if err := o.wire(s, host, ns, n, &e); err != nil {
			return err
		}
		if len(c.Endpoints) == 0 {
			proxies(s, c, host)
		}
	}
	c.Endpoints = append(c.Endpoints, e)
	return nil
}

// names are those that an engine's resolver gives the container on a network.
func (o *EngineConnect) names(c *snap.Container) []string {
	return append([]string{c.Name}, o.Aliases...)
}

// address chooses the lowest address that nobody has
// (moby daemon/libnetwork/ipams/defaultipam).
func (o *EngineConnect) address(s *snap.Snapshot, n *snap.Network, e *snap.Endpoint) error {
	for _, p := range n.Pools {
		if !p.Subnet.Addr().Is4() {
			continue
		}
		e.Gateway4 = p.Gateway
		from := p.Subnet
		if p.Range.IsValid() {
			from = p.Range
		}
		ip := o.IPv4
		if !ip.IsValid() {
			for ip = from.Masked().Addr().Next(); from.Contains(ip) && taken(s, n, ip, p.Gateway); ip = ip.Next() {
			}
		} else if taken(s, n, ip, p.Gateway) {
			return fmt.Errorf("address %s of network %s is in use", ip, n.Name)
		}
		if !p.Subnet.Contains(ip) || ip == snap.LastAddr(p.Subnet) {
			return fmt.Errorf("network %s has no address left: %w", n.Name, snap.ErrLimit)
		}
		e.IPv4 = netip.PrefixFrom(ip, p.Subnet.Bits())
		return nil
	}
	return nil
}

func taken(s *snap.Snapshot, n *snap.Network, ip, gateway netip.Addr) bool {
	if ip == gateway {
		return true
	}
	for _, c := range s.Containers {
		for _, e := range c.Endpoints {
			if c.Engine == n.Engine && e.Network == n.Name && (e.IPv4.Addr() == ip || e.StaticIPv4 == ip) {
				return true
			}
		}
	}
	return false
}

// wire makes the veth pair, with names that say that the engine chooses them.
func (o *EngineConnect) wire(s *snap.Snapshot, host, ns *snap.Netns, n *snap.Network, e *snap.Endpoint) error {
	br := host.Link(n.Bridge)
	if br == nil {
		return snap.NotFoundf("no bridge %s of network %s", n.Bridge, n.Name)
	}
	eth, veth := unnamed(ns, "eth"), unnamed(host, "veth")
	in := At(s, ns.ID)
	ops := []Op{
		&LinkAdd{
			Where: At(s, host.ID), Link: snap.Link{Index: later(host), Name: veth, Kind: "veth", MTU: br.MTU}, Master: n.Bridge, Up: true,
			Peer: &LinkEnd{Where: in, Index: later(ns), Name: eth, Up: true},
		},
		&AddrAdd{Where: in, Dev: eth, Addr: snap.Addr{Prefix: e.IPv4, Bcast: snap.LastAddr(e.IPv4), Scope: "global"}},
	}
	gw := e.Gateway4
	if gw.IsValid() && !n.Internal && !slices.ContainsFunc(ns.Routes, func(r snap.Route) bool {
		return r.Family == snap.IPv4 && r.Dst.Bits() == 0 && r.Table == snap.TableMain
	}) {
		ops = append(ops, &RouteAdd{Where: in, Devs: []string{eth}, Route: snap.Route{
			Family: snap.IPv4, Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: gw, Table: snap.TableMain,
		}})
	}
	e.Link, e.HostLink = eth, veth
	return seq(ops...).On(s)
}

// unnamed is a name for a device that an engine will name: "eth?".
func unnamed(ns *snap.Netns, prefix string) string {
	name := prefix + "?"
	for ns.Link(name) != nil {
		name += "?"
	}
	return name
}

// later is an ifindex that no device of the namespace had: none is given twice.
func later(ns *snap.Netns) int { return 1<<20 + len(ns.Links) }

// proxies has the engine's userland proxies listen again, which go with the network
// that carries the container's ports.
func proxies(s *snap.Snapshot, c *snap.Container, host *snap.Netns) {
	e := s.Engine(c.Engine)
	if e == nil || !e.UserlandProxy || host == nil {
		return
	}
	for _, p := range c.Ports {
		at := netip.AddrPortFrom(p.HostIP, p.HostPort)
		if !at.IsValid() || p.HostPort == 0 || slices.ContainsFunc(host.Sockets, func(k snap.Socket) bool { return k.Proto == p.Proto && k.Local == at }) {
			continue
		}
		f := snap.IPv4
		if p.HostIP.Is6() {
			f = snap.IPv6
		}
		host.Sockets = append(host.Sockets, snap.Socket{Proto: p.Proto, Family: f, Local: at, Process: &snap.Process{Name: "docker-proxy"}})
	}
}

func (o *EngineDisconnect) On(s *snap.Snapshot) error {
	c, err := o.find(s)
	if err != nil {
		return err
	}
	i := endpoint(c, o.Network)
	if i < 0 {
		return snap.NotFoundf("container %s is not on network %s", o.Name, o.Network)
	}
	e := c.Endpoints[i]
	c.Endpoints = slices.Delete(c.Endpoints, i, i+1)
	if ns := s.Ns(c.Netns); ns != nil && e.Link != "" && ns.Link(e.Link) != nil {
		return (&LinkDel{Where: At(s, ns.ID), Name: e.Link}).On(s)
	}
	return nil
}

func (o *EngineConnect) Inverse(s *snap.Snapshot) (Op, error) {
	c, err := o.find(s)
	if err != nil || endpoint(c, o.Network) >= 0 {
		return nil, err
	}
	return &EngineDisconnect{Ctr: o.Ctr, Network: o.Network, NetworkID: o.NetworkID}, nil
}

func (o *EngineDisconnect) Inverse(s *snap.Snapshot) (Op, error) {
	c, err := o.find(s)
	if err != nil {
		return nil, err
	}
	i := endpoint(c, o.Network)
	if i < 0 {
		return nil, nil
	}
	e := c.Endpoints[i]
	back := &EngineConnect{Ctr: o.Ctr, Network: o.Network, NetworkID: e.NetworkID, Aliases: slices.Clone(e.Aliases)}
	if back.IPv4 = e.StaticIPv4; !back.IPv4.IsValid() && e.IPv4.IsValid() {
		back.IPv4 = e.IPv4.Addr()
	}
	if back.IPv6 = e.StaticIPv6; !back.IPv6.IsValid() && e.IPv6.IsValid() {
		back.IPv6 = e.IPv6.Addr()
	}
	return back, nil
}

func (o *EngineConnect) Risk() Risk    { return RiskMedium }
func (o *EngineDisconnect) Risk() Risk { return RiskHigh }

func (o *EngineConnect) Object(s *snap.Snapshot) any { return endpointObject(s, o.Ctr, o.Network) }

func (o *EngineDisconnect) Object(s *snap.Snapshot) any { return endpointObject(s, o.Ctr, o.Network) }

func endpointObject(s *snap.Snapshot, c Ctr, network string) any {
	x, err := c.find(s)
	if err != nil {
		return nil
	}
	if i := endpoint(x, network); i >= 0 {
		return x.Endpoints[i].IPv4.String()
	}
	return x.ID
}

func (o *EngineConnect) Holds(s *snap.Snapshot) bool {
	c, err := o.find(s)
	if err != nil {
		return false
	}
	i := endpoint(c, o.Network)
	if i < 0 || o.IPv4.IsValid() && c.Endpoints[i].IPv4.Addr() != o.IPv4 && c.Endpoints[i].StaticIPv4 != o.IPv4 {
		return false
	}
	for _, a := range o.Aliases {
		if !slices.Contains(c.Endpoints[i].Aliases, a) && !slices.Contains(c.Endpoints[i].DNSNames, a) {
			return false
		}
	}
	return true
}

func (o *EngineDisconnect) Holds(s *snap.Snapshot) bool {
	c, err := o.find(s)
	return err == nil && endpoint(c, o.Network) < 0
}
