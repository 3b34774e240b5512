package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// canEngine says whether the container's engine can be told anything.
func (m *machine) canEngine(ctx context.Context, c fixups.Ctr) error {
	switch c.Engine {
	case "docker":
		_, err := m.dockerd(ctx)
		return err
	case "podman":
		if _, err := ns.Look("podman"); err != nil {
			return snap.Hint(err, "install podman")
		}
		return nil
	}
	return fmt.Errorf("changing containers of %s: %w", c.Engine, snap.ErrUnsupported)
}

// dockerd connects once. An engine on another machine is not this host's to
// change.
func (m *machine) dockerd(ctx context.Context) (*dockerapi.Client, error) {
	if m.docker != nil {
		return m.docker, nil
	}
	at := cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock")
	if e := m.base.Engine("docker"); e != nil {
		if e.Remote {
			return nil, fmt.Errorf("docker is on another machine: %w", snap.ErrUnsupported)
		}
		at = cmp.Or(e.Endpoint, at)
	}
	network, addr, ok := strings.Cut(at, "://")
	if !ok || network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("docker at %q: %w", at, snap.ErrUnsupported)
	}
	d := dockerapi.New(network, addr, nil)
	if err := d.Hello(ctx); err != nil {
		d.Close()
		return nil, snap.Hint(fmt.Errorf("docker does not answer: %w", err), "start dockerd")
	}
	m.docker = d
	return d, nil
}

// lookContainer asks the engine for the container's state and networks.
func (m *machine) lookContainer(ctx context.Context, s *snap.Snapshot, c fixups.Ctr) error {
	if c.Engine == "podman" {
		return m.lookPodman(ctx, s, c)
	}
	d, err := m.dockerd(ctx)
	if err != nil {
		return err
	}
	var now container.InspectResponse
	err = d.Get(ctx, "/containers/"+c.ID+"/json", nil, &now)
	if errors.Is(err, snap.ErrNotFound) {
		return fmt.Errorf("container %s: %w", c.Name, snap.ErrVanished)
	}
	if err != nil {
		return fmt.Errorf("asking docker for %s: %w", c.Name, err)
	}
	x := place(s, c)
	if st := now.State; st != nil {
		x.State = string(st.Status)
	}
	if now.NetworkSettings != nil {
		dockerEndpoints(x, now.NetworkSettings.Networks)
	}
	return nil
}

// place is the container in the snapshot, made where it is not known.
func place(s *snap.Snapshot, c fixups.Ctr) *snap.Container {
	if x := s.Container(c.Ref); x != nil {
		return x
	}
	s.Containers = append(s.Containers, snap.Container{Ref: c.Ref, Engine: c.Engine, ID: c.ID, Name: c.Name, Endpoints: []snap.Endpoint{}, Ports: []snap.Port{}})
	return &s.Containers[len(s.Containers)-1]
}

// dockerEndpoints renews the endpoints; what only a whole reading can tell
// stays.
func dockerEndpoints(x *snap.Container, nets map[string]*network.EndpointSettings) {
	var out []snap.Endpoint
	for _, e := range x.Endpoints {
		if nets[e.Network] != nil {
			out = append(out, e)
		}
	}
	for name, n := range nets {
		if n == nil {
			continue
		}
		at := -1
		for i := range out {
			if out[i].Network == name {
				at = i
			}
		}
		if at < 0 {
			out = append(out, snap.Endpoint{Network: name})
			at = len(out) - 1
		}
		e := &out[at]
		e.NetworkID, e.Aliases, e.DNSNames = n.NetworkID, n.Aliases, n.DNSNames
		e.IPv4, e.IPv6 = prefix(n.IPAddress, n.IPPrefixLen), prefix(n.GlobalIPv6Address, n.GlobalIPv6PrefixLen)
		e.StaticIPv4, e.StaticIPv6 = netip.Addr{}, netip.Addr{}
		if n.IPAMConfig != nil {
			e.StaticIPv4, e.StaticIPv6 = n.IPAMConfig.IPv4Address, n.IPAMConfig.IPv6Address
		}
	}
	x.Endpoints = out
}

func prefix(a netip.Addr, bits int) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, bits)
}

// engine tells an engine what to do.
func (m *machine) engine(ctx context.Context, op fixups.Op, c fixups.Ctr) error {
	if c.Engine == "podman" {
		return m.podman(ctx, op)
	}
	if c.Engine != "docker" {
		return fmt.Errorf("changing containers of %s: %w", c.Engine, snap.ErrUnsupported)
	}
	d, err := m.dockerd(ctx)
	if err != nil {
		return err
	}
	switch o := op.(type) {
	case *fixups.EngineConnect:
		e := &network.EndpointSettings{Aliases: o.Aliases}
		if o.IPv4.IsValid() || o.IPv6.IsValid() {
			e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: o.IPv4, IPv6Address: o.IPv6}
		}
		err = d.Order(ctx, "/networks/"+named(o.NetworkID, o.Network)+"/connect", nil, network.ConnectRequest{Container: c.ID, EndpointConfig: e})
	case *fixups.EngineDisconnect:
		err = d.Order(ctx, "/networks/"+named(o.NetworkID, o.Network)+"/disconnect", nil, network.DisconnectRequest{Container: c.ID})
	case *fixups.ContainerStart:
		err = d.Order(ctx, "/containers/"+c.ID+"/start", nil, nil)
	case *fixups.ContainerStop:
		err = d.Order(ctx, "/containers/"+c.ID+"/stop", url.Values{"t": {"5"}}, nil)
	case *fixups.ContainerPause:
		err = d.Order(ctx, "/containers/"+c.ID+"/pause", nil, nil)
	case *fixups.ContainerUnpause:
		err = d.Order(ctx, "/containers/"+c.ID+"/unpause", nil, nil)
	}
	if err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	return nil
}

// named is a network in a path.
func named(id, name string) string { return url.PathEscape(cmp.Or(id, name)) }
