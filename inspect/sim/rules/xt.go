package rules

import (
	"fmt"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// matchFunc is a compiled xt match.
type matchFunc func(m *machine) truth

func (f matchFunc) exec(m *machine) ctl { return m.ask(f(m)) }

// compileXt makes an xt match or target ready to run; nil for one that does
// nothing to a packet's way.
func (t *table) compileXt(x *snap.Xt) op {
	v, err := fw.DecodeXt(x, t.src.Family == snap.IPv6)
	if err != nil {
		return unknownXt(x)
	}
	if x.Target {
		if o, ok := target(v); ok {
			return o
		}
		return unknownXt(x)
	}
	t.looks = t.looks || looks(v)
	switch v := v.(type) {
	case *fw.CommentMatch:
		return nil
	case *fw.SetMatch:
		return t.setMatch(v)
	}
	for _, compile := range []func(any) matchFunc{packetMatch, transportMatch, connMatch, routeMatch, deviceMatch, senderMatch, stateMatch, contentMatch, ebMatch} {
		if f := compile(v); f != nil {
			return f
		}
	}
	return unknownXt(x)
}

// xtUnknown is a match or target that is not known.
type xtUnknown struct{ *snap.Xt }

// unknownXt runs what could not be decoded. Some targets go on with the next
// rule whatever they hold.
//
//go:noinline
func unknownXt(x *snap.Xt) op {
	if !x.Target {
		return xtUnknown{x}
	}
	switch x.Name {
	case "LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "CHECKSUM", "TEE", "RATEEST", "LED", "IDLETIMER", "SECMARK", "CONNSECMARK",
		"TCPOPTSTRIP", "CLASSIFY":
		return nil
	}
	return xtUnknown{x}
}

func (o xtUnknown) exec(m *machine) ctl {
	if o.Target {
		return m.unknown(fmt.Sprintf("target %s rev %d, which is not known,", o.Name, o.Rev))
	}
	return m.ask(unsure(fmt.Sprintf("match %s rev %d, which is not known,", o.Name, o.Rev)))
}

// filledIPSets are the ipsets, by index, that rules add to or delete from.
func filledIPSets(rs *snap.Ruleset) map[int]bool {
	filled := make(map[int]bool)
	for i := range rs.Tables {
		t := &rs.Tables[i]
		for j := range t.Chains {
			for k := range t.Chains[j].Rules {
				for _, e := range t.Chains[j].Rules[k].Exprs {
					x, ok := e.(*snap.Xt)
					if !ok || !x.Target || x.Name != "SET" {
						continue
					}
					if v, err := fw.DecodeXt(x, t.Family == snap.IPv6); err == nil {
						if s, ok := v.(*fw.SetTarget); ok {
							filled[s.Add.Index], filled[s.Del.Index] = true, true
						}
					}
				}
			}
		}
	}
	return filled
}
