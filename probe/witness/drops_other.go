//go:build !linux

package witness

import (
	"context"
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Drops are Linux's.
type Drops struct{}

// NewDrops says that there are none.
func NewDrops(*snap.Snapshot) (*Drops, error) {
	return nil, fmt.Errorf("tracepoints: %w", snap.ErrUnsupported)
}

// Watch watches nothing.
func (*Drops) Watch(*snap.Snapshot) error { return nil }

// Next waits for nothing.
func (*Drops) Next(ctx context.Context) (snap.Seen, error) {
	<-ctx.Done()
	return snap.Seen{}, ctx.Err()
}

// Skipped is none.
func (*Drops) Skipped() uint64 { return 0 }

// Close does nothing.
func (*Drops) Close() error { return nil }
