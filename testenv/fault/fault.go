// Package fault holds breakages by name: what breaks a host, as operations that
// package fixups/apply carries out, or that are tried on a snapshot. Each is the
// twin of a check that has to name it.
package fault

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Fault is one way to break a host.
type Fault struct {
	Name  string // "veth-off-bridge"
	Title string // what is done, in one clause: "web's veth is taken off its bridge"
	Code  string // of the check that names it
	// Suffers is what a person sees failing: "client -> web:80", "client ? web".
	Suffers string
	// Break gives the operations, for a host as it is in the snapshot. Target is
	// the container to be hit; "" is the first one that publishes a port, else
	// the first.
	Break func(s *snap.Snapshot, target string) ([]fixups.Op, error)
}

// All are the faults, by name.
func All() []Fault {
	out := []Fault{
		vethDown(), vethOffBridge(), bridgeDown(), bridgeAddressGone(), eth0Down(), loDown(), uplinkDown(),
		ipForwardOff(), defaultRouteGone(), wrongGateway(), hostDefaultRouteGone(), blackholeRoute(), wrongNeighbour(),
		forwardAcceptGone(), foreignTableDrops(), repliesDropped(), staleDNAT(), masqueradeGone(),
		resolvEmpty(), resolvLoopback(), resolvOutside(), namesRedirected(), astrayRoute(), mainRuleGone(), connectedRouteGone(),
	}
	slices.SortFunc(out, func(a, b Fault) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// Find is the fault of a name; snap.ErrNotFound when there is none.
func Find(name string) (Fault, error) {
	for _, f := range All() {
		if f.Name == name {
			return f, nil
		}
	}
	return Fault{}, fmt.Errorf("no fault %q: %w", name, snap.ErrNotFound)
}
