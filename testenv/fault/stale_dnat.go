package fault

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func staleDNAT() Fault {
	return Fault{
		Name: "stale-dnat", Code: "ND3201", Title: "a published port is sent to an address that nobody has any more", Suffers: "the world -> the published port",
		Break: func(s *snap.Snapshot, target string) ([]fixups.Op, error) {
			v, err := find(s, target)
			if err != nil {
				return nil, err
			}
			if len(v.c.Ports) == 0 {
				return nil, fmt.Errorf("a published port of %s: %w", v.c.Name, snap.ErrNotFound)
			}
			p := v.c.Ports[0]
			addr := v.ep.IPv4.Addr().AsSlice()
			ops, err := deleteRules(s, "the rule of the published port", func(_ *snap.Chain, r *snap.Rule) bool {
				return goesTo(r, addr)
			})
			if err != nil {
				return nil, err
			}
			for _, op := range slices.Clip(ops) {
				d := op.(*fixups.RuleDelete)
				in := &fixups.RuleInsert{ChainRef: d.ChainRef, Position: d.Rule.Num}
				gone := fmt.Sprintf("%s:%d", lastOf(v.ep.IPv4), p.ContainerPort)
				if d.IPTables() {
					in.Args = []string{"-p", string(p.Proto), "--dport", fmt.Sprint(p.HostPort), "-j", "DNAT", "--to-destination", gone}
				} else {
					in.Text = fmt.Sprintf("ip daddr %s %s dport %d counter dnat to %s", p.HostIP, p.Proto, p.HostPort, gone)
				}
				ops = append(ops, in)
			}
			return ops, nil
		},
	}
}
