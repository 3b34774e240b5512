package checks

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd6302: a network has no address left.
//
// Each container takes an address of the network's subnet (or of its --ip-range);
// the network address, the broadcast address and the gateway are taken from the
// start. When all are in use, starting one more container fails with "no available
// IPv4 addresses on this network's address pools". A subnet can't be changed: the
// network has to be made anew. What runs goes on.
//
// See it by hand:
//
//	docker network inspect NET               IPAM.Config, Containers
//
// Sources: moby libnetwork/ipam; netavark ipam
func nd6302() diag.Check {
	return diag.Check{
		Code: "ND6302", Name: "network-full", Severity: diag.Error, Since: "0.1",
		Title: "A network has no address left for another container",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Networks {
				n := &in.Snap.Networks[i]
				switch n.Driver {
				case "bridge", "macvlan", "ipvlan":
				default:
					continue
				}
				for _, p := range n.Pools {
					space, used, full := usage(in, n, p)
					if !full {
						continue
					}
					anew := "make a network with a larger subnet and move the containers to it"
					if c := diag.CreateCommand(n.Engine, "--subnet …"); c != "" {
						anew += ": " + c
					}
					f := diag.Finding{
						Summary:  fmt.Sprintf("network %s is full: all %s of %s are in use", n.Name, diag.Count(used, "usable address"), space),
						Cause:    fmt.Sprintf("%s has no address left for another container", space),
						Subject:  diag.Subject{Kind: "network", Name: networkName(in, n), Netns: in.Snap.Host.Netns},
						Evidence: []diag.Evidence{ev(diag.NetworkCommand(n), fmt.Sprintf("subnet %s, %d in use", p.Subnet, used), snap.RefNetwork(n.Ref))},
						Advice:   anew,
						Weight:   28,
					}
					leftovers(in, &f, n, p, used)
					out = append(out, f)
				}
			}
			return out
		},
	}
}

// usage counts the addresses of a pool that containers hold; full says that
// none is left. Pools too large to be full are not counted.
func usage(in *diag.Input, n *snap.Network, p snap.Pool) (space netip.Prefix, used int, full bool) {
	space = p.Subnet
	if p.Range.IsValid() {
		space = p.Range
	}
	if !space.IsValid() || !space.Addr().Is4() || space.Bits() < 16 {
		return space, 0, false
	}
	taken := map[netip.Addr]bool{}
	if p.Subnet.Bits() < 31 {
		taken[p.Subnet.Masked().Addr()], taken[snap.LastAddr(p.Subnet)] = true, true
	}
	if p.Gateway.IsValid() {
		taken[p.Gateway] = true
	}
	for _, a := range p.Aux {
		taken[a] = true
	}
	held := map[netip.Addr]bool{}
	for _, l := range n.Leases {
		held[l.Addr] = true
	}
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for j := range c.Endpoints {
			e := &c.Endpoints[j]
			if c.Running() && in.Snap.NetworkOf(c.Engine, e) == n && e.IPv4.IsValid() {
				held[e.IPv4.Addr()] = true
			}
		}
	}
	for a := space.Masked().Addr(); space.Contains(a); a = a.Next() {
		switch {
		case !gives(p, a):
		case held[a]:
			used++
		case !taken[a]:
			return space, used, false
		}
	}
	return space, used, used > 0
}

// gives says whether an address is between the first and the last that a pool has.
func gives(p snap.Pool, a netip.Addr) bool {
	return (!p.Start.IsValid() || !a.Less(p.Start)) && (!p.End.IsValid() || !p.End.Less(a))
}

// leftovers tells of a full network's leases that nobody on this host has.
func leftovers(in *diag.Input, f *diag.Finding, n *snap.Network, p snap.Pool, used int) {
	for _, g := range in.Snap.Gaps {
		if g.Kind == "permission" || g.Kind == "limit" || slices.Contains([]string{"processes", "namespace", "addresses"}, g.What) {
			return // who has them may not have been seen
		}
	}
	var files []string
	for _, l := range n.Leases {
		if p.Subnet.Contains(l.Addr) && gives(p, l.Addr) && !slices.ContainsFunc(in.Snap.Netns, func(ns snap.Netns) bool { _, has := ns.HasAddr(l.Addr); return has }) {
			files = append(files, l.File)
		}
	}
	if len(files) == 0 {
		return
	}
	dir := filepath.Dir(files[0])
	f.Summary = fmt.Sprintf("network %s is full: %d of its %s are reserved in %s for pods that are gone", n.Name, len(files), diag.Count(used, "usable address"), dir)
	f.Cause = fmt.Sprintf("%s in %s were never given back: no namespace on this host has them", diag.Count(len(files), "address"), dir)
	shown := files[:min(len(files), 8)]
	rest := ""
	if more := len(files) - len(shown); more > 0 {
		rest = fmt.Sprintf(" (and %d more there)", more)
	}
	f.Evidence = append(f.Evidence, ev("ls "+dir, "nobody has "+strings.ReplaceAll(strings.Join(shown, ", "), dir+"/", "")+rest, snap.RefNetwork(n.Ref)))
	f.Advice = "delete the files of pods that are gone: rm " + strings.Join(shown, " ") + rest
}
