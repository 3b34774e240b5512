package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd1124: a bridge sends a container's frames to another port.
//
// A bridge remembers behind which port it last saw a MAC, and sends frames for it
// there and nowhere else. An entry that points at another port makes the container
// deaf for what is sent to it alone, while its own broadcasts get through. A static
// entry moves when the container next sends something; a sticky one never does.
// Somebody set it, a frame with that MAC came in by another port (a loop, a copied
// machine), or a container moved and has been silent since. A permanent entry that is
// no device's own MAC is the bridge's: such frames go up to the host. "bridge fdb add"
// without the word static makes one.
//
// See it by hand:
//
//	bridge fdb show br BRIDGE | grep MAC
//	ip -d link show DEVICE                   the container's own port
//
// Sources: net/bridge/br_fdb.c: br_fdb_update; net/bridge/br_input.c: br_handle_frame_finish
func nd1124() diag.Check {
	return diag.Check{
		Code: "ND1124", Name: "forwarding-entry-elsewhere", Severity: diag.Error, Since: "0.2",
		Title:  "A bridge's forwarding entry has a container's MAC behind another port",
		After:  []diag.Code{"ND1107", "ND1122"},
		Detect: detectND1124,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for _, e := range misled(in) {
				if string(e.ref) == f.Subject.Name {
					return e.ops
				}
			}
			return nil
		},
	}
}

// misledEntry is a forwarding entry that has a container's MAC behind a port
// that is not the container's.
type misledEntry struct {
	suspect
	a    attachment
	port *snap.Link
	fdb  *snap.FDBEntry
}

func misled(in *diag.Input) []misledEntry {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	byMAC := map[string][]int{}
	for i := range host.FDB {
		if e := &host.FDB[i]; !e.Self && !e.Dst.IsValid() && !(e.Local && slices.ContainsFunc(host.Links, func(l snap.Link) bool { return l.MAC == e.MAC })) {
			byMAC[e.MAC] = append(byMAC[e.MAC], i)
		}
	}
	var out []misledEntry
	for _, a := range attachments(in) {
		if a.host == nil || a.link == nil || a.host.Master == 0 || a.link.MAC == "" {
			continue
		}
		for _, i := range byMAC[a.link.MAC] {
			e := &host.FDB[i]
			port := host.LinkAt(e.Index)
			if e.Index == a.host.Index && !e.Local || port == nil || e.Master != a.host.Master {
				continue
			}
			out = append(out, misledEntry{
				suspect{snap.RefItem(host.ID, "fdb", i), []fixups.Op{&fixups.FDBDel{Where: at(in, host.ID), Dev: port.Name, Entry: *e}}}, a, port, e,
			})
		}
	}
	return out
}

func detectND1124(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	host := in.Snap.HostNs()
	for _, e := range misled(in) {
		c := mends(in, e.ops)
		if len(c.Traces)+len(c.Names) == 0 {
			continue
		}
		bridge, kind := host.LinkAt(e.a.host.Master), ""
		if bridge == nil {
			continue
		}
		if e.fdb.Sticky {
			kind = " sticky"
		} else if e.fdb.State == "static" {
			kind = " static"
		}
		if e.fdb.Local {
			kind = " permanent"
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("%s sends what is for %s (%s) out of %s instead of %s: a%s forwarding entry says so", bridge.Name, e.a.c.Name, e.fdb.MAC, e.port.Name, e.a.host.Name, kind),
			Cause:   fmt.Sprintf("the%s forwarding entry of %s has the MAC of %s behind %s", kind, bridge.Name, e.a.c.Name, e.port.Name),
			Subject: diag.Subject{Kind: "fdb", Name: string(e.ref), Netns: host.ID},
			Evidence: []diag.Evidence{
				ev("bridge fdb show br "+bridge.Name, fmt.Sprintf("%s dev %s master %s%s", e.fdb.MAC, e.port.Name, bridge.Name, kind), e.ref),
				ev(ipIn(in, e.a.ns.ID, "link show "+e.a.link.Name), linkLine(e.a.link)+" link/ether "+e.a.link.MAC, snap.RefLink(e.a.ns.ID, e.a.link.Name)),
			},
			Covers: c,
			Weight: 86,
		}
		if e.fdb.Local {
			f.Summary = fmt.Sprintf("%s keeps what is for %s (%s) to itself: a permanent forwarding entry on %s makes that MAC the bridge's own", bridge.Name, e.a.c.Name, e.fdb.MAC, e.port.Name)
			f.Cause = fmt.Sprintf("the permanent forwarding entry sends frames for %s up to the host instead of out of %s", e.a.c.Name, e.a.host.Name)
		}
		out = append(out, f)
	}
	return out
}
