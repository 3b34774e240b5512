//go:build !linux

package kernel

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Notifier needs Linux.
type Notifier struct{}

// NewNotifier needs Linux.
func NewNotifier(*snap.Snapshot) (*Notifier, error) {
	return nil, fmt.Errorf("listening for changes: %w", snap.ErrUnsupported)
}

// Changed never gets a value.
func (*Notifier) Changed() <-chan struct{} { return nil }

// Watch needs Linux.
func (*Notifier) Watch(*snap.Snapshot) error { return snap.ErrUnsupported }

// Close does nothing.
func (*Notifier) Close() error { return nil }
