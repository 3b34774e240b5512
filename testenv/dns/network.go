package dns

import (
	"net/netip"
	"slices"
	"strings"
)

// Endpoint is a running container on a network. A stopped one is left out: it
// has no address, and its names are forwarded, as Docker does.
type Endpoint struct {
	// Names are the container's name, aliases, short id and hostname, in this
	// order: the first is the one that an address is answered with
	// (moby daemon/container_operations.go: buildEndpointDNSNames).
	Names []string
	Addrs []netip.Addr
}

// Service is several containers behind one name.
type Service struct {
	Names   []string     // name and aliases
	Virtual []netip.Addr // the virtual address; empty for dnsrr: all tasks are answered
	Tasks   []netip.Addr // answered for tasks.NAME
	Ports   []Port       // answered for SRV
}

// Port is a named port of a service: _name._proto.service.
type Port struct {
	Name  string // "http"
	Proto string // "tcp", "udp"
	Port  uint16
}

// Network is the table of one network, shared by the zones of all its members.
// It is never changed: a new one replaces it.
type Network struct {
	name  string
	names map[string]*addrs
	hosts map[netip.Addr]string // PTR: name.network
	ports map[string][]target   // SRV: _name._proto.service
}

// addrs are the addresses of one name, ready to be copied into an answer.
type addrs struct {
	v4 [][4]byte
	v6 [][16]byte
}

// target is where an SRV record points.
type target struct {
	port uint16
	host string
}

// NewNetwork makes a network's table. Names are compared without regard to
// case. A name that several have gets the addresses of all of them, which is
// what containers sharing an alias see.
func NewNetwork(name string, endpoints []Endpoint, services []Service) *Network {
	n := &Network{
		name: strings.ToLower(name), names: make(map[string]*addrs, 4*len(endpoints)+2*len(services)),
		hosts: make(map[netip.Addr]string, len(endpoints)), ports: map[string][]target{},
	}
	for _, e := range endpoints {
		for i, name := range e.Names {
			n.add(name, e.Addrs)
			if i > 0 {
				continue
			}
			for _, a := range e.Addrs {
				n.hosts[a.Unmap()] = strings.ToLower(name) + "." + n.name
			}
		}
	}
	for _, s := range services {
		front := s.Virtual
		if len(front) == 0 {
			front = s.Tasks
		}
		for _, name := range s.Names {
			n.add(name, front)
			n.add("tasks."+name, s.Tasks)
			for _, p := range s.Ports {
				key := strings.ToLower("_" + p.Name + "._" + p.Proto + "." + name)
				n.ports[key] = append(n.ports[key], target{p.Port, strings.ToLower(name)})
			}
		}
	}
	return n
}

func (n *Network) add(name string, list []netip.Addr) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" {
		return
	}
	a := n.names[name]
	if a == nil {
		a = &addrs{}
		n.names[name] = a
	}
	for _, addr := range list {
		a.add(addr.Unmap())
	}
}

func (a *addrs) add(addr netip.Addr) {
	switch {
	case addr.Is4():
		b := addr.As4()
		if slices.Contains(a.v4, b) {
			return
		}
		a.v4 = append(a.v4, b)
	case addr.Is6():
		b := addr.As16()
		if slices.Contains(a.v6, b) {
			return
		}
		a.v6 = append(a.v6, b)
	}
}
