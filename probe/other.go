//go:build !linux

package probe

import (
	"context"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func errnoName(error) string { return "" }

// TCP always has the outcome "error" here: there are no network namespaces.
func (p *Prober) TCP(_ context.Context, from *snap.Netns, dst netip.AddrPort, o Options) snap.Probe {
	return fail(p.begin("tcp", from, dst, o), snap.ErrUnsupported)
}

// UDP always has the outcome "error" here.
func (p *Prober) UDP(_ context.Context, from *snap.Netns, dst netip.AddrPort, o Options) snap.Probe {
	return fail(p.begin("udp", from, dst, o), snap.ErrUnsupported)
}

// ICMP always has the outcome "error" here.
func (p *Prober) ICMP(_ context.Context, from *snap.Netns, dst netip.Addr, o Options) snap.Probe {
	return fail(p.begin("icmp", from, netip.AddrPortFrom(dst, 0), o), snap.ErrUnsupported)
}

// ARP always has the outcome "error" here.
func (p *Prober) ARP(_ context.Context, from *snap.Netns, dst netip.Addr, o Options) snap.Probe {
	return fail(p.begin("arp", from, netip.AddrPortFrom(dst, 0), o), snap.ErrUnsupported)
}

// DNS always has the outcome "error" here.
func (p *Prober) DNS(_ context.Context, from *snap.Netns, server netip.AddrPort, o Options) snap.Probe {
	return fail(p.begin("dns", from, server, o), snap.ErrUnsupported)
}
