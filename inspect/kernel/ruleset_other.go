//go:build !linux

package kernel

import (
	"context"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ReadRuleset always gives a gap here: there is no netfilter on this platform.
func ReadRuleset(context.Context, *ns.Handle) (snap.Ruleset, []snap.Gap) {
	return snap.Ruleset{Tables: []snap.Table{}}, []snap.Gap{snap.GapOf("ruleset", "", snap.ErrUnsupported)}
}

// ReadIPSets always fails here.
func ReadIPSets(context.Context, *ns.Handle) ([]snap.IPSet, error) {
	return nil, snap.ErrUnsupported
}

// ReadNeighTable always fails here.
func ReadNeighTable(context.Context, *ns.Handle) (entries, limit int, err error) {
	return 0, 0, snap.ErrUnsupported
}

// AskConns always fails here.
func AskConns(context.Context, *ns.Handle, []*snap.Tracked) error { return snap.ErrUnsupported }
