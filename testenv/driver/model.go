// Package driver turns networks and containers, with their addresses chosen,
// into the operations that build them as Docker's daemon would: devices,
// addresses, routes and rules, in the order and form of one of Docker's
// generations, under names of our own. It is pure.
package driver

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Generation says whose rules are written.
type Generation string

// The generations.
const (
	Docker20  Generation = "20.10"       // up to 27: one set of rules a bridge in FORWARD
	Docker29i Generation = "29-iptables" // DOCKER-FORWARD and its chains; 28 has them, too, and isolation stages in the place of DOCKER-INTERNAL
	Docker29n Generation = "29-nftables" // tables of their own
)

// Generations are all of them.
func Generations() []Generation { return []Generation{Docker20, Docker29i, Docker29n} }

// Engine is the name under which our own networks are an engine like others.
const Engine = "netdoctor"

// Group is the device group of everything that is made, so that it can be found
// and deleted at once (ip-link(8): group).
const Group = 0x6e64

// Env is what all networks of a host have in common.
type Env struct {
	Name  string       `json:"name"` // in owner marks: netdoctor:NAME
	Gen   Generation   `json:"gen"`
	Dir   string       `json:"dir"` // where state and namespaces' files are
	Host  fixups.Where `json:"host"`
	Proxy bool         `json:"proxy"` // a program beside the rules takes connections to published ports
	// System is how iptables' rules are kept, snap.IPTablesNFT when empty.
	System snap.System `json:"system,omitempty"`
	// Rootless is a user namespace in which only one user and group exist.
	Rootless bool `json:"rootless,omitempty"`
	// places are namespaces of a snapshot, by the file that holds each; nil: they
	// are named by ids of their own.
	places map[string]fixups.Where
}

// Mark is the owner mark.
func (e *Env) Mark() string { return Engine + ":" + e.Name }

// NFT says whether rules are written as nftables' own.
func (e *Env) NFT() bool { return e.Gen == Docker29n }

func (e *Env) system() snap.System {
	if e.System == "" {
		return snap.IPTablesNFT
	}
	return e.System
}

// Network is a network with everything chosen.
type Network struct {
	Net snap.Network `json:"network"`
	// Spec is what was asked for, as JSON: a changed file is told by it.
	Spec string `json:"spec,omitempty"`
	snap.OwnNetwork
}

// Pool is the subnet of a family; zero when there is none.
func (n *Network) Pool(v6 bool) snap.Pool {
	for _, p := range n.Net.Pools {
		if p.Subnet.Addr().Is6() == v6 {
			return p
		}
	}
	return snap.Pool{}
}

// mode is the gateway mode of a family.
func (n *Network) mode(v6 bool) string {
	m := n.Net.GatewayMode4
	if v6 {
		m = n.Net.GatewayMode6
	}
	if m == "" {
		return "nat"
	}
	return m
}

// Container is a container with everything chosen.
type Container struct {
	Ctr snap.Container `json:"container"`
	// Spec is the service as asked for, as JSON.
	Spec    string   `json:"spec,omitempty"`
	Command []string `json:"command,omitempty"`
	Start   uint64   `json:"start,omitempty"` // of the process Ctr.PID, in clock ticks since boot
	Environ []string `json:"environ,omitempty"`
	// Foreign containers are others': only what was connected here is ours.
	Foreign bool `json:"foreign,omitempty"`
	snap.OwnContainer
}

// Shared says whether it lives in another one's namespace, or in the host's.
func (c *Container) Shared() bool {
	return c.Ctr.NetworkMode == "host" || strings.HasPrefix(c.Ctr.NetworkMode, "container:")
}

// Where is the container's namespace for operations.
func (e *Env) Where(c *Container) fixups.Where {
	if w, ok := e.places[c.Ctr.SandboxKey]; ok {
		return w
	}
	if c.Foreign {
		return fixups.Where{ID: c.Ctr.Netns, Pid: c.Ctr.PID, Path: c.Ctr.SandboxKey}
	}
	return fixups.Where{ID: "ctr-" + c.Ctr.ID[:12], Path: c.Ctr.SandboxKey}
}

// NetnsPath is the file that holds a namespace.
func (e *Env) NetnsPath(name string) string { return filepath.Join(e.Dir, "netns", name) }

// Endpoint is the container's place on a network; nil when it has none.
func (c *Container) Endpoint(network string) *snap.Endpoint {
	for i := range c.Ctr.Endpoints {
		if c.Ctr.Endpoints[i].Network == network {
			return &c.Ctr.Endpoints[i]
		}
	}
	return nil
}

// Service is a name with a virtual address in front of several containers.
type Service struct {
	Name     string
	Network  string
	VIP      netip.Addr
	Backends []netip.Addr
}

// MACOf is the hardware address that Docker makes of an address (moby
// libnetwork/netutils: GenerateMACFromIP).
func MACOf(ip netip.Addr) string {
	if !ip.Is4() {
		return ""
	}
	b := ip.As4()
	return fmt.Sprintf("02:42:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}
