package sim

import "github.com/netdoctor/netdoctor/inspect/sim/rules"

// mayNAT adds the mappings of another way.
func (t *Trace) mayNAT(others []rules.NAT) {
next:
	for i := range others {
		for _, list := range [][]rules.NAT{t.NATed, t.MayNAT} {
			for k := range list {
				if x, y := list[k].Place, others[i].Place; x == y || x != nil && y != nil && x.Ref == y.Ref {
					continue next
				}
			}
		}
		t.MayNAT = append(t.MayNAT, others[i])
	}
}
