//go:build !linux

package probe

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func errnoName(error) string { return "" }

// TCP always has the outcome "error" here: there are no network namespaces.
func (p *Prober) TCP(_ context.Context, from *snap.Netns, dst netip.AddrPort, o Options) snap.Probe {
	return fail(begin("tcp", from, dst, o), snap.ErrUnsupported)
}

// UDP always has the outcome "error" here.
func (p *Prober) UDP(_ context.Context, from *snap.Netns, dst netip.AddrPort, o Options) snap.Probe {
	return fail(begin("udp", from, dst, o), snap.ErrUnsupported)
}

// ICMP always has the outcome "error" here.
func (p *Prober) ICMP(_ context.Context, from *snap.Netns, dst netip.Addr, o Options) snap.Probe {
	return fail(begin("icmp", from, netip.AddrPortFrom(dst, 0), o), snap.ErrUnsupported)
}

// ARP always has the outcome "error" here.
func (p *Prober) ARP(_ context.Context, from *snap.Netns, dst netip.Addr, o Options) snap.Probe {
	return fail(begin("arp", from, netip.AddrPortFrom(dst, 0), o), snap.ErrUnsupported)
}

// DNS always has the outcome "error" here.
func (p *Prober) DNS(_ context.Context, from *snap.Netns, server netip.AddrPort, o Options) snap.Probe {
	return fail(begin("dns", from, server, o), snap.ErrUnsupported)
}

// Router always has the outcome "error" here.
func (p *Prober) Router(_ context.Context, from *snap.Netns, server netip.AddrPort, o Options) snap.Probe {
	return fail(begin("router", from, server, o), snap.ErrUnsupported)
}

// Whole always has the outcome "error" here.
func (p *Prober) Whole(_ context.Context, from *snap.Netns, dst netip.Addr, o Options) snap.Probe {
	return fail(begin("whole", from, netip.AddrPortFrom(dst, 0), o), snap.ErrUnsupported)
}

// Arrive always has the outcome "error" here.
func (p *Prober) Arrive(_ context.Context, q Question) snap.Probe {
	return fail(begin(q.Kind, q.From, q.Dst, q.Options), snap.ErrUnsupported)
}

// StandIn is Linux's.
type StandIn struct{}

// StandIn says that there is none.
func (p *Prober) StandIn(*snap.Netns, snap.Proto, netip.AddrPort) (*StandIn, error) {
	return nil, fmt.Errorf("a stand-in: %w", snap.ErrUnsupported)
}

// Where is nowhere.
func (*StandIn) Where() (at netip.AddrPort, beside bool) { return at, false }

// Close does nothing.
func (*StandIn) Close() error { return nil }
