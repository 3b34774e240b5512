//go:build !linux

package ns

import "github.com/netdoctor/netdoctor/inspect/snap"

// Limits is always nil here.
func (p *Procs) Limits(int) *snap.Limits { return nil }
