package fault

import (
	"bytes"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// masquerades says whether a rule changes sources to the host's own address.
func masquerades(r *snap.Rule) bool {
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Masq:
			return true
		case *snap.Xt:
			if x.Target && x.Name == "MASQUERADE" {
				return true
			}
		}
	}
	return false
}

// mentions says whether a rule compares something with these bytes.
func mentions(r *snap.Rule, data []byte) bool {
	for _, e := range r.Exprs {
		if c, ok := e.(*snap.Cmp); ok && bytes.HasPrefix(c.Data, data) {
			return true
		}
	}
	return false
}

// ends says whether a rule ends in a verdict.
func ends(r *snap.Rule, code string) bool {
	for _, e := range r.Exprs {
		if i, ok := e.(*snap.Immediate); ok && i.Verdict != nil && i.Verdict.Code == code {
			return true
		}
	}
	return false
}

// goesTo says whether a rule sends what it matches to another destination.
func goesTo(r *snap.Rule, addr []byte) bool {
	for i, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Nat:
			for _, f := range r.Exprs[:i] {
				if im, ok := f.(*snap.Immediate); ok && bytes.Equal(im.Data, addr) {
					return x.Type == "dnat"
				}
			}
		case *snap.Xt:
			if x.Target && x.Name == "DNAT" && bytes.Contains(x.Info, addr) {
				return true
			}
		}
	}
	return false
}
