//go:build !linux

package probe

import (
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Forget needs Linux.
func (p *Prober) Forget(*snap.Snapshot, []Question) error { return snap.ErrUnsupported }

func (p *Prober) unlearn(*snap.Netns, netip.Addr) func() { return func() {} }
