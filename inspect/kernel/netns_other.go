//go:build !linux

package kernel

import (
	"context"
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ReadNetns reads nothing here; the Gap says so.
func ReadNetns(_ context.Context, h *ns.Handle, _ Options) (snap.Netns, []snap.Gap) {
	err := fmt.Errorf("reading a network namespace: %w", snap.ErrUnsupported)
	return snap.Netns{Inode: h.Inode()}, []snap.Gap{snap.GapOf("namespace", "", err)}
}

// AskRoutes always fails here.
func AskRoutes(context.Context, *ns.Handle, []RouteQuery) ([]snap.RouteAnswer, error) {
	return nil, fmt.Errorf("asking for routes: %w", snap.ErrUnsupported)
}

// AskHeld always fails here.
func AskHeld(context.Context, *ns.Handle, *ns.Procs, map[uint16]bool) ([]snap.Socket, error) {
	return nil, fmt.Errorf("asking for connections: %w", snap.ErrUnsupported)
}

// HookPrograms finds none here.
func HookPrograms() ([]snap.HookProgram, error) { return nil, nil }
