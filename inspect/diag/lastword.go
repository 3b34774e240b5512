package diag

import (
	"encoding/binary"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// stateNew is the bit of NEW in a mask of connection states: NF_CT_STATE_BIT(IP_CT_NEW),
// include/net/netfilter/nf_conntrack.h and include/uapi/linux/netfilter/nf_conntrack_common.h.
const stateNew = 1 << 3

// lastWord says whether a place decides about all that comes to it, or all that goes by a
// device, or the first packet of all connections: a policy, or a rule that asks for no more.
func lastWord(p *rules.Place) bool {
	if p.Policy || p.Rule == nil {
		return p.Policy
	}
	rest := *p.Rule
	rest.Exprs = nil
	devices, states := map[int]bool{}, map[int]uint32{} // what registers hold; of a state the bits that are asked for
	for _, e := range p.Rule.Exprs {
		switch x := e.(type) {
		case *snap.Meta:
			delete(states, x.Dreg)
			if devices[x.Dreg] = slices.Contains([]string{"iif", "iifname", "oif", "oifname"}, x.Key); devices[x.Dreg] {
				continue
			}
		case *snap.Ct:
			delete(devices, x.Dreg)
			if x.Key == "state" {
				states[x.Dreg] = ^uint32(0)
				continue
			}
		case *snap.Bitwise:
			if _, ok := states[x.Sreg]; ok && len(x.Mask) == 4 {
				states[x.Dreg] = binary.NativeEndian.Uint32(x.Mask)
				continue
			}
		case *snap.Cmp:
			if devices[x.Sreg] || aboutNew(states, x) {
				continue
			}
		case *snap.Lookup:
			if devices[x.Sreg] && x.Dreg == snap.NoReg {
				continue
			}
		case *snap.XtEntry:
			if !x.Src.IsValid() && !x.Dst.IsValid() && len(x.SrcAddr) == 0 && len(x.DstAddr) == 0 && x.Proto == 0 && x.TOS == 0 && !x.Fragment {
				continue
			}
		case *snap.Xt:
			if xtNew(x) {
				continue
			}
		}
		rest.Exprs = append(rest.Exprs, e)
	}
	return bare(&rest)
}

// aboutNew says whether a comparison of a masked connection state holds for NEW.
func aboutNew(states map[int]uint32, x *snap.Cmp) bool {
	bits, ok := states[x.Sreg]
	none := !slices.ContainsFunc(x.Data, func(b byte) bool { return b != 0 })
	return ok && bits != ^uint32(0) && none && (x.Op == "!=") == (bits&stateNew != 0)
}

// xtNew says whether a match of iptables asks for nothing but a state that NEW is one of.
func xtNew(x *snap.Xt) bool {
	m, err := firewall.DecodeXt(x, false)
	if err != nil || x.Target {
		return false
	}
	switch v := m.(type) {
	case *firewall.StateMatch:
		return slices.Contains(v.States, "NEW")
	case *firewall.ConntrackMatch:
		return v.Match == firewall.CTState && slices.Contains(v.States, "NEW") != v.Inverted(firewall.CTState)
	}
	return false
}
