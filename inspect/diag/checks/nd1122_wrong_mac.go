package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1122: two ports of one bridge have one MAC.
//
// A bridge remembers one port for each MAC: the one that the last frame with it came
// in by. With two holders, frames for the one reach the other, by turns, and the two
// can't reach each other at all. A cloned machine or a copied --mac-address brings
// it about, and so does setting the address by hand.
//
// See it by hand:
//
//	bridge fdb show br BRIDGE                the MAC wanders from port to port
//	docker network inspect NET               which MAC the engine gave to whom
//
// Sources: net/bridge/br_fdb.c: br_fdb_update; IEEE 802.1D section 7.8
func nd1122() diag.Check {
	return diag.Check{
		Code: "ND1122", Name: "duplicate-mac", Severity: diag.Error, Since: "0.1",
		Title:  "Two containers or namespaces on one bridge, or one and the bridge, have the same MAC",
		Detect: detectND1122,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for _, a := range portHolders(in) {
				switch {
				case a.link == nil || a.ns.ID != f.Subject.Netns || a.link.Name != f.Subject.Name:
				case a.c == nil:
					return ownMAC(in, a)
				case changedMAC(a):
					return []fixups.Op{&fixups.LinkMAC{Where: at(in, a.ns.ID), Name: a.link.Name, MAC: strings.ToLower(a.e.MAC)}}
				}
			}
			return freshMAC(in, f)
		},
	}
}

// changedMAC says whether a device has another MAC than its engine gave it.
func changedMAC(a attachment) bool {
	return a.e != nil && a.e.MAC != "" && !strings.EqualFold(a.link.MAC, a.e.MAC)
}

func detectND1122(in *diag.Input) []diag.Finding {
	type wire struct {
		bridge int
		mac    string
	}
	var out []diag.Finding
	first := map[wire]attachment{}
	for _, a := range portHolders(in) {
		if a.link == nil || a.host == nil || a.host.Master == 0 || a.link.MAC == "" {
			continue
		}
		at := wire{a.host.Master, strings.ToLower(a.link.MAC)}
		if br := in.Snap.HostNs().LinkAt(a.host.Master); br != nil && a.c != nil && strings.ToLower(br.MAC) == at.mac {
			out = append(out, bridgeHasMAC(in, a, br))
		}
		b, twice := first[at]
		if !twice {
			first[at] = a
			continue
		}
		if b.ns == a.ns && b.link == a.link {
			continue
		}
		if changedMAC(b) && !changedMAC(a) { // who left what the engine gave is the intruder
			a, b = b, a
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("%s and %s have the same MAC %s on %s: frames for one reach the other", holderName(in, b), holderName(in, a), at.mac, wireName(in, a)),
			Cause:   fmt.Sprintf("%s of %s and %s of %s both send as %s, and the bridge believes whoever sent last", b.link.Name, holderName(in, b), a.link.Name, holderName(in, a), at.mac),
			Subject: diag.Subject{Kind: "link", Name: a.link.Name, Netns: a.ns.ID},
			Evidence: []diag.Evidence{
				ev(ipIn(in, a.ns.ID, "link show dev "+a.link.Name), linkLine(a.link), snap.RefLink(a.ns.ID, a.link.Name)),
				ev(ipIn(in, b.ns.ID, "link show dev "+b.link.Name), linkLine(b.link), snap.RefLink(b.ns.ID, b.link.Name)),
			},
			Weight: 87,
		}
		if a.c != nil {
			f.Advice = fmt.Sprintf("make %s or %s anew with another --mac-address", b.c.Name, a.c.Name)
		}
		if changedMAC(a) {
			f.Evidence = append(f.Evidence, ev(diag.InspectCommand(a.c), "MacAddress "+a.e.MAC, snap.RefContainer(a.c.Ref)))
			f.Advice = ""
		}
		for i := range in.Flows {
			if fl := &in.Flows[i]; fl.Trace.Where != nil && diag.RulePlace(fl.Trace.Where).Rule != nil {
				continue // a rule stops it, whoever has the MAC
			} else if fl.Flow.From == a.ns.ID || fl.Flow.From == b.ns.ID || meantFor(in, fl, a) || meantFor(in, fl, b) {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool {
			return upstreamCut(n) && (n.Ask.Netns == a.ns.ID || n.Ask.Netns == b.ns.ID)
		})
		out = append(out, f)
	}
	return out
}

// bridgeHasMAC: the bridge itself has the MAC of a container on it, so that frames for
// the container end in the host (net/bridge/br_input.c: br_handle_frame_finish, local).
func bridgeHasMAC(in *diag.Input, a attachment, br *snap.Link) diag.Finding {
	host := in.Snap.HostNs()
	f := diag.Finding{
		Summary: fmt.Sprintf("%s, the bridge of network %s, has the MAC %s of %s: frames for %s end in the host", br.Name, a.n.Name, a.link.MAC, a.c.Name, a.c.Name),
		Cause:   fmt.Sprintf("a bridge keeps what is for its own MAC, and %s of %s has the same", a.link.Name, a.c.Name),
		Subject: diag.Subject{Kind: "link", Name: br.Name, Netns: host.ID},
		Evidence: []diag.Evidence{
			ev("ip link show dev "+br.Name, linkLine(br), snap.RefLink(host.ID, br.Name)),
			ev(ipIn(in, a.ns.ID, "link show dev "+a.link.Name), linkLine(a.link), snap.RefLink(a.ns.ID, a.link.Name)),
		},
		Weight: 87,
	}
	if changedMAC(a) { // it is the container that took the bridge's
		f.Subject = diag.Subject{Kind: "link", Name: a.link.Name, Netns: a.ns.ID}
	}
	for i := range in.Flows {
		if fl := &in.Flows[i]; fl.Broken() && (fl.Flow.From == a.ns.ID || fl.Target == a.c.Ref || fl.Flow.Dst == a.e.IPv4.Addr()) {
			f.Covers.Traces = append(f.Covers.Traces, i)
		}
	}
	f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool { return upstreamCut(n) && n.Ask.Netns == a.ns.ID })
	return f
}

// freshMAC gives a bridge a MAC that no container of its network has: Docker's own
// form for its gateway address (moby netutils.GenerateMACFromIP).
func freshMAC(in *diag.Input, f *diag.Finding) []fixups.Op {
	n := in.Graph.NetworkOfBridge(f.Subject.Name)
	if n == nil || f.Subject.Netns != in.Snap.Host.Netns {
		return nil
	}
	gw, _ := gateway4(n)
	if !gw.Is4() {
		return nil
	}
	b := gw.As4()
	mac := fmt.Sprintf("02:42:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
	for _, a := range attachments(in) {
		if a.n == n && a.link != nil && strings.EqualFold(a.link.MAC, mac) {
			return nil
		}
	}
	return []fixups.Op{&fixups.LinkMAC{Where: at(in, f.Subject.Netns), Name: f.Subject.Name, MAC: mac}}
}
