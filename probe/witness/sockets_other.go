//go:build !linux

package witness

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// Sockets are Linux's.
type Sockets struct{}

// NewSockets says that there are none.
func NewSockets(*snap.Snapshot) (*Sockets, error) {
	return nil, fmt.Errorf("packet sockets: %w", snap.ErrUnsupported)
}

// Close does nothing.
func (*Sockets) Close() error { return nil }

// Follow follows nothing.
func (*Sockets) Follow(probe.Identity) probe.Follower { return nil }
