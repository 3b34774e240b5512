package testenv

import (
	"context"
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// forgetFlows deletes the UDP connections to a container's published ports that
// the kernel tracks: a client that goes on sending from the same port keeps its
// entry alive, and its packets go where they went before the port was published,
// or to the address of a container that is gone (moby
// daemon/libnetwork/drivers/bridge/port_mapping_linux.go: clearConntrackEntries).
// Entries are told by the host's port, and by the container's address where they
// were translated to it.
func (s *session) forgetFlows(ctx context.Context, c *driver.Container) error {
	var udp []snap.Port
	for _, p := range c.Ctr.Ports {
		if p.Proto == snap.UDP {
			udp = append(udp, p)
		}
	}
	if len(udp) == 0 {
		return nil
	}
	h, err := ns.OpenHost(s.h.HostNS)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	n, gaps := kernel.ReadNetns(ctx, h, kernel.Options{NoRuleset: true, Host: true})
	for _, g := range gaps {
		if g.What == "conntrack" && g.Kind != "unsupported" {
			return snap.Hint(fmt.Errorf("reading the tracked connections: %s", g.Why), g.Needs)
		}
	}
	var ops []fixups.Op
	for _, x := range n.Conntrack {
		if x.Proto != snap.UDP.Number() {
			continue
		}
		for _, p := range udp {
			if x.Orig.Dst.Port() == p.HostPort && (p.HostIP.IsUnspecified() || x.Orig.Dst.Addr() == p.HostIP) {
				ops = append(ops, &fixups.ConntrackDelete{Where: s.b.Host(), Conn: x})
				break
			}
		}
	}
	return s.b.Unmake(ctx, "tracked connections to "+c.Ctr.Name, ops...)
}
