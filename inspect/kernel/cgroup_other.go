//go:build !linux

package kernel

import "github.com/netdoctor/netdoctor/inspect/snap"

// Cgroups finds nothing here.
type Cgroups struct{}

// OpenCgroups is always nil here.
func OpenCgroups() *Cgroups { return nil }

// Of is always nil here.
func (c *Cgroups) Of(string) *snap.Cgroup { return nil }
