//go:build !linux

package app

import (
	"context"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func tracedRules(context.Context, *snap.Snapshot, *snap.Probe, []string) ([]snap.Ruled, error) {
	return nil, snap.ErrUnsupported
}

func reclaimed(context.Context) ([]string, error) { return nil, nil }
