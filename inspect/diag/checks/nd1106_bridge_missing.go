package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1106: a network's bridge does not exist.
//
// The engine keeps a network in its own state, but its bridge device is gone
// from the kernel: somebody deleted it, or a daemon that died in the middle left
// half a network. Containers on it are on no wire any more.
//
// See it by hand:
//
//	docker network inspect NET -f '{{.Id}}'  br- and its first 12 digits name the bridge
//	ip link show BRIDGE                      does not exist
//
// Sources: moby drivers/bridge/bridge_linux.go: getNetworkBridgeName
func nd1106() diag.Check {
	return diag.Check{
		Code: "ND1106", Name: "bridge-missing", Severity: diag.Error, Since: "0.1",
		Title: "The bridge of a network does not exist",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Networks {
				n := &in.Snap.Networks[i]
				e := in.Snap.Engine(n.Engine)
				if n.Driver != "bridge" || n.Bridge == "" || !inUse(in, n) || e == nil || e.Remote {
					continue
				}
				host := in.Snap.Home(e)
				if host == nil || host.Link(n.Bridge) != nil {
					continue
				}
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("%s does not exist: the bridge of network %s is gone", n.Bridge, n.Name),
					Cause:    fmt.Sprintf("%s knows the network %s, but its bridge %s was deleted from the kernel", n.Engine, n.Name, n.Bridge),
					Subject:  diag.Subject{Kind: "bridge", Name: n.Bridge, Netns: host.ID},
					Evidence: []diag.Evidence{ev(diag.NetworkCommand(n), "bridge "+n.Bridge, snap.RefNetwork(n.Ref))},
					Advice:   "the engine's daemon makes the bridge again, too, when it is restarted, with all that it knows of it",
					Weight:   90,
				})
			}
			return out
		},
		Fix: fixND1106,
	}
}

// fixND1106 makes the bridge as its engine does, with the gateway's address, and
// puts the devices of the network's containers on it.
func fixND1106(in *diag.Input, f *diag.Finding) []fixups.Op {
	host := in.Netns(f.Subject.Netns)
	n := in.Graph.NetworkOfBridge(f.Subject.Name)
	for i := range in.Snap.Networks { // the graph knows bridges that are there
		if in.Snap.Networks[i].Bridge == f.Subject.Name {
			n = &in.Snap.Networks[i]
		}
	}
	if host == nil || n == nil || n.IPv6 {
		return nil
	}
	gw, subnet := gateway4(n)
	if !gw.IsValid() || !subnet.IsValid() {
		return nil
	}
	w := at(in, host.ID)
	ops := []fixups.Op{
		&fixups.LinkAdd{Where: w, Up: true, Link: snap.Link{Name: n.Bridge, Kind: "bridge", MTU: n.MTU}},
		&fixups.AddrAdd{Where: w, Dev: n.Bridge, Addr: snap.Addr{
			Prefix: netip.PrefixFrom(gw, subnet.Bits()), Bcast: snap.LastAddr(subnet), Scope: "global", Label: n.Bridge, ValidMs: -1, PreferredMs: -1, Flags: []string{"permanent"},
		}},
	}
	for _, a := range attachments(in) {
		if a.n == n && a.host != nil && host.LinkAt(a.host.Master) == nil {
			ops = append(ops, &fixups.LinkMaster{Where: w, Name: a.host.Name, Master: n.Bridge})
		}
	}
	return ops
}
