package engine

import (
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// settle checks a container's pid and fills in its process; a pid that is not
// believed is dropped, with the reason as the error. all are the containers of
// the engine (nil entries allowed), in which the owner of a shared namespace is
// looked up.
func (m *machine) settle(c *snap.Container, all []*snap.Container) error {
	p, err := m.believe(c.ID, c.PID, hostMode(c, all))
	if err != nil {
		c.PID, c.Process = 0, nil
		return err
	}
	c.Process = p.value()
	c.Process.CapEff = p.capEff()
	c.Sockets = m.socketsIn(p)
	return nil
}

// hostMode says whether the container declares that it lives in the host's
// namespace: itself, or by sharing that of one that does.
func hostMode(c *snap.Container, all []*snap.Container) bool {
	for range 8 { // chains are short; a ring must end
		if c.NetworkMode == "host" {
			return true
		}
		owner, ok := strings.CutPrefix(c.NetworkMode, "container:")
		if !ok {
			return false
		}
		next := c
		for _, o := range all {
			if o != nil && (o.ID == owner || o.Name == owner || len(owner) >= 12 && strings.HasPrefix(o.ID, owner)) {
				next = o
				break
			}
		}
		if next == c {
			return false
		}
		c = next
	}
	return false
}

// fillGateways completes pools by what the endpoints on them were given.
// Docker's API leaves the gateway out where the user gave a subnet without one
// (moby daemon/network.go: buildIPAMResources).
func fillGateways(nets []snap.Network, list []snap.Container) {
	gateways := map[string][]netip.Addr{}
	for _, c := range list {
		for _, e := range c.Endpoints {
			gateways[e.NetworkID] = append(gateways[e.NetworkID], e.Gateway4, e.Gateway6)
		}
	}
	for i := range nets {
		for j := range nets[i].Pools {
			p := &nets[i].Pools[j]
			for _, gw := range gateways[nets[i].ID] {
				if !p.Gateway.IsValid() && gw.IsValid() && p.Subnet.Contains(gw) {
					p.Gateway = gw
				}
			}
		}
	}
}
