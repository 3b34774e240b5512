package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// Untracks says whether a rule takes packets out of connection tracking: nft's
// notrack, or the targets NOTRACK and CT --notrack.
func Untracks(r *snap.Rule) bool {
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Notrack:
			return true
		case *snap.Xt:
			if !x.Target {
				continue
			}
			if v, err := DecodeXt(x, false); err == nil {
				if t, ok := v.(*CTTarget); ok && t.Notrack {
					return true
				}
			}
		}
	}
	return false
}
