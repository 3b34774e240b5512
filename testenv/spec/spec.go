// Package spec turns the text of a set-up, a strict subset of the Compose file
// format, into a typed and checked value. A key that is not known is an error
// with its line. It is pure.
package spec

import "net/netip"

// Spec is what a set-up is to be.
type Spec struct {
	Name     string
	Networks []Network // in the order of the file; "default" is made where a service names none
	Services []Service
}

// Network is a network as asked for.
type Network struct {
	Name     string
	Line     int               `json:"-"` // in the file, from 1; 0 for one that no file names
	Driver   string            // "bridge" when none is given
	Options  map[string]string // driver_opts
	Internal bool
	IPv6     bool
	// Attachable is taken and means nothing: everything may be attached.
	Attachable bool
	Pools      []Pool
	// Peers are other hosts' containers on an overlay network, by address, and
	// the host that each is on (x-peers).
	Peers map[netip.Addr]netip.Addr
	// Default is the default bridge: no names, links instead.
	Default bool
}

// Pool is a subnet as asked for.
type Pool struct {
	Subnet  netip.Prefix
	Range   netip.Prefix
	Gateway netip.Addr
	Aux     map[string]netip.Addr
}

// Service is one service, which has Replicas containers.
type Service struct {
	Name          string
	Line          int    `json:"-"`
	ContainerName string // "" is made of the service's name
	Hostname      string
	Networks      []Attachment
	// NetworkMode is "", "host", "none", "bridge" or "service:NAME".
	NetworkMode string
	Ports       []Port
	DNS         []netip.Addr
	DNSSearch   []string
	DNSOptions  []string
	ExtraHosts  []string // "name:address", the address may be "host-gateway"
	Links       []string // "service" or "service:alias"
	Command     []string // nil: nothing runs but the namespace
	Environment []string // "K=V"
	Replicas    int      // 1 when not given
	// RoundRobin gives all the containers' addresses for the service's name
	// instead of a virtual one (deploy.endpoint_mode: dnsrr).
	RoundRobin bool
	Sysctls    map[string]string
}

// Attachment is a service's place on one network.
type Attachment struct {
	Network  string
	Aliases  []string
	IPv4     netip.Addr
	IPv6     netip.Addr
	MAC      string
	Priority int // gw_priority
}

// Port is one published port.
type Port struct {
	HostIP        netip.Addr // invalid: all addresses of both families
	HostPort      uint16     // 0: any free one
	ContainerPort uint16
	Proto         string // "tcp", "udp", "sctp"
}

// Network finds a network by name; nil when there is none.
func (s *Spec) Network(name string) *Network {
	for i := range s.Networks {
		if s.Networks[i].Name == name {
			return &s.Networks[i]
		}
	}
	return nil
}

// Service finds a service by name; nil when there is none.
func (s *Spec) Service(name string) *Service {
	for i := range s.Services {
		if s.Services[i].Name == name {
			return &s.Services[i]
		}
	}
	return nil
}

// Plain is the set-up that no file asks for: the default bridge and one custom
// network.
func Plain() *Spec {
	return &Spec{Name: "default", Networks: []Network{
		{Name: "bridge", Driver: "bridge", Default: true},
		{Name: "netdoctor", Driver: "bridge"},
	}}
}
