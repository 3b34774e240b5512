package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
)

// portHolders are all attachments of containers, and after them the devices of
// hand-made namespaces that are up and whose other end is in the host: these have no
// container, endpoint or network.
func portHolders(in *diag.Input) []attachment {
	out := attachments(in)
	host := in.Snap.HostNs()
	if host == nil {
		return out
	}
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if ns == host || !ns.Class.Ours() || len(in.Graph.ContainersOf(ns.ID)) > 0 {
			continue
		}
		for k := range ns.Links {
			l := &ns.Links[k]
			if p, ok := in.Graph.Peer(l); ok && l.Kind == "veth" && l.Up && p.Netns == host {
				out = append(out, attachment{ns: ns, link: l, host: p.Link})
			}
		}
	}
	return out
}

// holderName is a container's name, or its namespace's where there is none.
func holderName(in *diag.Input, a attachment) string {
	if a.c != nil {
		return a.c.Name
	}
	return in.Who(a.ns.ID)
}

// wireName is the network, or the bridge, that a device is on.
func wireName(in *diag.Input, a attachment) string {
	if a.n != nil {
		return "network " + a.n.Name
	}
	if br := in.Snap.HostNs().LinkAt(a.host.Master); br != nil {
		return br.Name
	}
	return "one bridge"
}

// meantFor says whether a flow goes to the container or namespace.
func meantFor(in *diag.Input, f *diag.FlowCase, a attachment) bool {
	if a.c != nil {
		return f.Target == a.c.Ref
	}
	for _, o := range in.Graph.Owners(f.Flow.Dst) {
		if o.Netns == a.ns {
			return true
		}
	}
	return false
}

// ownMAC gives a device the MAC that Docker makes of an address, unless somebody has it.
func ownMAC(in *diag.Input, a attachment) []fixups.Op {
	for _, x := range a.ns.AddrsOf(a.link.Index) {
		if !x.Prefix.Addr().Is4() {
			continue
		}
		b := x.Prefix.Addr().As4()
		mac := fmt.Sprintf("02:42:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
		for _, o := range portHolders(in) {
			if o.link != nil && strings.EqualFold(o.link.MAC, mac) {
				return nil
			}
		}
		return []fixups.Op{&fixups.LinkMAC{Where: at(in, a.ns.ID), Name: a.link.Name, MAC: mac}}
	}
	return nil
}
