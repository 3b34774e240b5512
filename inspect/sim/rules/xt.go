package rules

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func (t *table) compileXt(x *snap.Xt) op { return newXtUnknown(x) }

// xtUnknown is a match or target that can't be decoded.
type xtUnknown struct{ *snap.Xt }

func newXtUnknown(x *snap.Xt) op {
	if !x.Target {
		return xtUnknown{x}
	}
	switch x.Name {
	case "LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "CHECKSUM", "TEE", "RATEEST", "LED", "IDLETIMER", "CLASSIFY",
		"SECMARK", "CONNSECMARK", "SET", "TCPOPTSTRIP", "ACCOUNT", "NETFLOW":
		return nil // they go on with the next rule whatever they hold
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
func filledIPSets(*snap.Ruleset) map[int]bool { return nil }
