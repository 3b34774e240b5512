package sim

import "github.com/netdoctor/netdoctor/inspect/sim/rules"

// mayNAT adds the mappings of another way.
func (t *Trace) mayNAT(others []rules.NAT) {
next:
	for i := range others {
		for _, list := range [][]rules.NAT{t.NATed, t.MayNAT} {
			for k := range list {
				if list[k].AddrMin != others[i].AddrMin || list[k].PortMin != others[i].PortMin { // a rule that chooses one of several
					continue
				}
				if x, y := list[k].Place, others[i].Place; x == y || x != nil && y != nil && x.Ref == y.Ref {
					continue next
				}
			}
		}
		t.MayNAT = append(t.MayNAT, others[i])
	}
}
