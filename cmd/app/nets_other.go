//go:build !linux

package app

import (
	"context"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// newNets is nil: there are no network namespaces here.
func newNets() Nets { return nil }

func helper(context.Context, string, bool) error { return snap.ErrUnsupported }
