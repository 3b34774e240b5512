//go:build !linux

package witness

import (
	"context"
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// Count says that it can't.
func Count(context.Context, *probe.Prober, probe.Question, []*snap.Netns) ([]snap.Counted, error) {
	return nil, fmt.Errorf("counters: %w", snap.ErrUnsupported)
}
