package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2303: a neighbour entry that never ages names a MAC that another one answers for.
//
// A permanent entry is never asked for again. When the gateway's router is replaced,
// or fails over to one with another MAC, everything that goes by it is sent to a card
// that is gone: the host sends, nothing returns, and the addresses and routes are all
// right. Who has the address says so himself when he is asked.
//
// See it by hand:
//
//	ip neigh show nud permanent
//	arping -c 1 -I DEVICE ADDRESS            the MAC that answers
//
// False positives: an entry that is written against ARP spoofing. It is only told when
// nothing gets through by it.
//
// Sources: net/core/neighbour.c: NUD_PERMANENT; ip-neighbour(8); RFC 826
func nd2303() diag.Check {
	return diag.Check{
		Code: "ND2303", Name: "pinned-neighbour", Severity: diag.Error, Since: "0.2",
		Title:  "A permanent neighbour entry names another MAC than the neighbour has",
		Detect: detectND2303,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for _, p := range in.PinnedNeighs() {
				if string(p.Ref) == f.Subject.Name {
					return []fixups.Op{&fixups.NeighDel{Where: at(in, p.Netns.ID), Dev: p.Link.Name, IP: p.Neigh.IP}}
				}
			}
			return nil
		},
	}
}

func detectND2303(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, p := range in.PinnedNeighs() {
		mac, probe := p.Answers(in.Snap)
		if mac == "" || strings.EqualFold(mac, p.Neigh.MAC) {
			continue
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("%s has %s pinned to the MAC %s on %s, and who has that address is %s: what is sent by it reaches nobody", in.Who(p.Netns.ID), p.Neigh.IP, p.Neigh.MAC, p.Link.Name, mac),
			Cause:   "the entry never ages, and the neighbour's MAC is another one by now",
			Subject: diag.Subject{Kind: "address", Name: string(p.Ref), Netns: p.Netns.ID},
			Evidence: []diag.Evidence{
				ev(ipIn(in, p.Netns.ID, "neigh show nud "+p.Neigh.State), fmt.Sprintf("%s dev %s lladdr %s %s", p.Neigh.IP, p.Link.Name, p.Neigh.MAC, strings.ToUpper(p.Neigh.State)), p.Ref),
				ev(fmt.Sprintf("probe %d", probe.ID), fmt.Sprintf("ARP: %s is at %s", p.Neigh.IP, mac), snap.RefProbe(probe.ID)),
			},
			Confidence: diag.Proved,
			Weight:     86,
		}
		dead, alive := false, false
		by := map[string]bool{}
		for i := range in.Flows {
			c := &in.Flows[i]
			if !slices.Contains(met(c.Trace), p.Ref) {
				continue
			}
			by[c.Flow.From] = true
			switch diag.ProbeSays(c.Probe) {
			case "delivered", "refused":
				alive = true
			case "dropped":
				dead = true
			}
			if !c.Excused {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool {
			if !upstreamCut(n) {
				return false
			}
			for _, s := range n.Path.Servers {
				if by[s.AskedFrom] {
					return true
				}
			}
			return false
		})
		if alive || !dead && len(f.Covers.Names) == 0 {
			continue
		}
		out = append(out, f)
	}
	return out
}
