// Package fault holds breakages by name: what breaks a host, as operations that
// package fixups/apply carries out, or that are tried on a snapshot. Each is the
// twin of a check that has to name it.
package fault

import (
	"strings"

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

// Complaint is what a person would say who has the fault, and the command that
// follows just that; target as for Break.
func (f *Fault) Complaint(target string) (said, command string) {
	w := strings.Fields(f.Suffers)
	if len(w) != 3 {
		from, to, _ := strings.Cut(f.Suffers, " -> ")
		return from + " does not reach " + to, "netdoctor check"
	}
	if target != "" {
		w[0] = strings.Replace(w[0], "web", target, 1)
	}
	if w[1] == "?" {
		return w[0] + " does not resolve " + w[2], "netdoctor dns " + w[2] + " --from " + w[0]
	}
	return w[0] + " does not reach " + w[2], "netdoctor trace " + w[0] + " " + w[2]
}

// All are the faults, by name.
func All() []Fault {
	var out []Fault
	for _, fault := range []func() Fault{
		vethDown, vethOffBridge, bridgeDown, bridgeAddressGone, eth0Down, loDown, uplinkDown,
		ipForwardOff, defaultRouteGone, wrongGateway, hostDefaultRouteGone, hostGatewaySilent, blackholeRoute, wrongNeighbour,
		forwardAcceptGone, foreignTableDrops, repliesDropped, staleDNAT, masqueradeGone,
		resolvEmpty, resolvLoopback, resolvOutside, namesRedirected, astrayRoute, mainRuleGone, connectedRouteGone, ipsecBlock,
	} {
		out = append(out, fault())
	}
	snap.Sort(out, func(a, b Fault) int {
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
	return Fault{}, snap.NotFoundf("no fault %q", name)
}
