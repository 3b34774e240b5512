package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// banned are the lists of xt_recent by which a rule drops a flow, with the address
// of the flow that is on them.
func banned(in *diag.Input, f *diag.FlowCase) (out []*fixups.RecentDel, entries []*snap.RecentEntry) {
	w := diag.RulePlace(f.Trace.Where)
	if w == nil || w.Rule == nil || w.Rule.Rule == nil {
		return nil, nil
	}
	ns := in.Netns(w.Netns)
	for _, e := range w.Rule.Rule.Exprs {
		x, ok := e.(*snap.Xt)
		if !ok || x.Target || x.Name != "recent" {
			continue
		}
		m, err := firewall.DecodeXt(x, w.Rule.Family == snap.IPv6)
		r, ok := m.(*firewall.RecentMatch)
		if err != nil || !ok || r.Invert || !r.Check && !r.Update || ns.RecentList(r.Name) == nil {
			continue
		}
		list := ns.RecentList(r.Name)
		for i := range list.Entries {
			for _, a := range addrsOf(f) {
				if list.Entries[i].Addr == a {
					out = append(out, &fixups.RecentDel{Where: at(in, w.Netns), List: r.Name, Addr: a})
					entries = append(entries, &list.Entries[i])
					break
				}
			}
		}
	}
	return out, entries
}

// forgive takes the flow's address off the list of xt_recent that a rule drops it by:
// the rule and the rest of the list stay.
func forgive(in *diag.Input, f *diag.Finding) []fixups.Op {
	i := f.Covers.Traces[0]
	dels, _ := banned(in, &in.Flows[i])
	for _, op := range dels {
		if ops := []fixups.Op{op}; heals(in, i, ops) {
			return ops
		}
	}
	return nil
}

// bannedLines show the entries of those lists.
func bannedLines(in *diag.Input, f *diag.FlowCase) []diag.Evidence {
	var out []diag.Evidence
	dels, entries := banned(in, f)
	for k, op := range dels {
		e := entries[k]
		t := fmt.Sprintf("src=%s, %s counted", e.Addr, diag.Count(len(e.AgesMs), "packet"))
		if n := len(e.AgesMs); n > 0 {
			youngest := e.AgesMs[0]
			for _, a := range e.AgesMs {
				youngest = min(youngest, a)
			}
			t += fmt.Sprintf(", the last %d s ago", youngest/1000)
		}
		out = append(out, ev(in.IPCommand(op.ID, "cat /proc/net/xt_recent/"+op.List), t, snap.RefNetns(op.ID)))
	}
	return out
}
