//go:build !linux

package witness

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// Tracepoints are Linux's.
type Tracepoints struct{}

// NewTracepoints says that there are none.
func NewTracepoints(*snap.Snapshot) (*Tracepoints, error) {
	return nil, fmt.Errorf("tracepoints: %w", snap.ErrUnsupported)
}

// Close does nothing.
func (*Tracepoints) Close() error { return nil }

// Follow follows nothing.
func (*Tracepoints) Follow(probe.Identity) probe.Follower { return nil }
