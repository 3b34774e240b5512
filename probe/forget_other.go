//go:build !linux

package probe

import "github.com/netdoctor/netdoctor/inspect/snap"

// Forget needs Linux.
func (p *Prober) Forget(*snap.Snapshot, []Question) error { return snap.ErrUnsupported }
