package lab

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Engine is the name under which the lab's containers appear.
const Engine = "netdoctor"

// Spec is what a lab is made of. The zero value is a host with an uplink to an
// internet, and nothing on it.
type Spec struct {
	Networks   []Network
	Containers []Container
}

// Network is a bridge network with NAT, as engines make it.
type Network struct {
	Name    string
	Bridge  string
	Subnet  netip.Prefix
	Gateway netip.Addr
}

// Container is a process in a namespace of its own, on one network.
type Container struct {
	Name    string
	Network string
	Addr    netip.Addr
	Listen  []string // see serve.Parse
	Publish []snap.Port
}

// The addresses of the world around the lab's host (RFC 5737).
var (
	hostAddr   = netip.MustParsePrefix("192.0.2.10/24")
	routerAddr = netip.MustParsePrefix("192.0.2.1/24")
	wanAddr    = netip.MustParsePrefix("198.51.100.1/24")
	worldWeb   = netip.MustParseAddr("198.51.100.20")
	worldDNS   = netip.MustParseAddr("198.51.100.53")
)

// Default is the practice host that people get: two networks, four containers,
// one published port.
func Default() Spec {
	return Spec{
		Networks: []Network{
			{Name: "app", Bridge: "br-app", Subnet: netip.MustParsePrefix("172.20.0.0/24"), Gateway: netip.MustParseAddr("172.20.0.1")},
			{Name: "data", Bridge: "br-data", Subnet: netip.MustParsePrefix("172.21.0.0/24"), Gateway: netip.MustParseAddr("172.21.0.1")},
		},
		Containers: []Container{
			{Name: "client", Network: "app", Addr: netip.MustParseAddr("172.20.0.11")},
			{
				Name: "web", Network: "app", Addr: netip.MustParseAddr("172.20.0.12"), Listen: []string{"tcp:80"},
				Publish: []snap.Port{{Proto: snap.TCP, HostIP: hostAddr.Addr(), HostPort: 8080, ContainerPort: 80}},
			},
			{Name: "db", Network: "app", Addr: netip.MustParseAddr("172.20.0.13"), Listen: []string{"tcp:5432"}},
			{Name: "report", Network: "data", Addr: netip.MustParseAddr("172.21.0.11"), Listen: []string{"tcp:80"}},
		},
	}
}

// network finds a network of the spec by name; nil none.
func (s *Spec) network(name string) *Network {
	for i := range s.Networks {
		if s.Networks[i].Name == name {
			return &s.Networks[i]
		}
	}
	return nil
}
