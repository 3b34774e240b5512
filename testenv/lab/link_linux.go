package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// up sets a device up.
func up(h *netlink.Handle, name string) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	if err := h.LinkSetUp(l); err != nil {
		return fmt.Errorf("setting %s up: %w", name, err)
	}
	return nil
}

// mac is the MAC that belongs to an IPv4 address, as Docker 20 makes it: a
// bridge keeps one that it was given whatever ports come and go, and two labs
// are alike.
func mac(ip netip.Addr) net.HardwareAddr {
	b := ip.As4()
	return net.HardwareAddr{0x02, 0x42, b[0], b[1], b[2], b[3]}
}

// pair makes a veth: one end here, the other as eth0 in a process's namespace,
// with the MAC of the address that it will have.
func pair(h *netlink.Handle, here string, pid int, ip netip.Addr) error {
	far, near := mac(ip), mac(ip)
	near[1]++
	v := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: here, HardwareAddr: near},
		PeerName:  "eth0", PeerHardwareAddr: far, PeerNamespace: netlink.NsPid(pid),
	}
	if err := h.LinkAdd(v); err != nil {
		return fmt.Errorf("making veth %s: %w", here, err)
	}
	return up(h, here)
}

// join makes a device a port of a bridge.
func join(h *netlink.Handle, name, bridge string) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	br, err := h.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("finding %s: %w", bridge, err)
	}
	if err := h.LinkSetMasterByIndex(l, br.Attrs().Index); err != nil {
		return fmt.Errorf("putting %s on %s: %w", name, bridge, err)
	}
	return nil
}

// address gives a device an address and sets it up.
func address(h *netlink.Handle, name string, p netip.Prefix) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	a := &netlink.Addr{IPNet: ipnet(p)}
	if err := h.AddrAdd(l, a); err != nil {
		return fmt.Errorf("giving %s the address %s: %w", name, p, err)
	}
	return up(h, name)
}

// ipnet is an address with its prefix, and network the subnet of it, as netlink
// takes them.
func ipnet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func network(p netip.Prefix) *net.IPNet { return ipnet(p.Masked()) }

// defaultRoute adds an IPv4 default route.
func defaultRoute(h *netlink.Handle, gw netip.Addr) error {
	if err := h.RouteAdd(&netlink.Route{Gw: gw.AsSlice()}); err != nil {
		return fmt.Errorf("adding a default route via %s: %w", gw, err)
	}
	return nil
}
