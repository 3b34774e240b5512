package checks

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fixNeigh mends what keeps a next hop from being found: a permanent neighbour
// or forwarding entry that nobody of ours holds the MAC of, an address that two
// hold, a route that leads to nobody.
func fixNeigh(in *diag.Input, f *diag.Finding) []fixups.Op {
	if len(f.Covers.Traces) == 0 {
		return nil
	}
	return either(forgetNeigh, fixUnroute)(in, f)
}

// forgetNeigh deletes a permanent neighbour entry on the way, if the flow works
// without it.
func forgetNeigh(in *diag.Input, f *diag.Finding) []fixups.Op {
	t := in.Flows[f.Covers.Traces[0]].Trace
	refs := []snap.Ref{}
	if t.Where != nil {
		refs = append(refs, t.Where.Ref)
	}
	for i := range t.Forward {
		refs = append(refs, t.Forward[i].Because...)
	}
	for i := range t.Reply {
		refs = append(refs, t.Reply[i].Because...)
	}
	for _, r := range refs {
		v, err := in.Snap.At(r)
		ns := in.Netns(r.Netns())
		if err != nil || ns == nil || !ns.Class.Ours() {
			continue
		}
		var op fixups.Op
		switch x := v.(type) {
		case *snap.Neigh:
			l := ns.LinkAt(x.Index)
			if l == nil || x.State != "permanent" || x.ExtLearn {
				continue
			}
			op = &fixups.NeighDel{Where: at(in, ns.ID), Dev: l.Name, IP: x.IP, Proxy: x.Proxy}
		case *snap.FDBEntry:
			l := ns.LinkAt(x.Index)
			if l == nil || x.Local || x.ExtLearn || x.State != "static" && x.State != "permanent" {
				continue
			}
			op = &fixups.FDBDel{Where: at(in, ns.ID), Dev: l.Name, Entry: *x}
		default:
			continue
		}
		if heals(in, f.Covers.Traces[0], []fixups.Op{op}) {
			return []fixups.Op{op}
		}
	}
	return nil
}
