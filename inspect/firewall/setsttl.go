package firewall

import "github.com/netdoctor/netdoctor/inspect/snap"

// SetsTTL says whether a rule changes the TTL or hop limit of packets: the
// targets TTL and HL, or nft's "ip ttl set" and "ip6 hoplimit set".
func SetsTTL(r *snap.Rule) bool {
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Xt:
			if x.Target && (x.Name == "TTL" || x.Name == "HL") {
				return true
			}
		case *snap.Payload: // offsets of RFC 791 section 3.1 and RFC 8200 section 3
			if x.Sreg != snap.NoReg && x.Base == "nh" && x.Offset <= 8 && x.Offset+x.Len > 7 {
				return true
			}
		}
	}
	return false
}
