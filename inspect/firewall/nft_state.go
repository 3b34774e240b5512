package firewall

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hold handles statements that keep state, log, or come from elsewhere.
func (x *nftRule) hold(e snap.Expr) bool {
	switch e := e.(type) {
	case *snap.Counter, *snap.Limit, *snap.Quota, *snap.Connlimit:
		x.say(statefulText(e))
	case *snap.Log:
		x.say(logText(e))
	case *snap.Dynset:
		x.dynset(e)
	case *snap.Objref:
		x.objref(e)
	case *snap.Xt:
		w := &line{ns: x.ns, v6: x.l3 == "ip6"}
		w.xtText(e)
		x.say("[xt" + w.String() + "]")
	case *snap.XtEntry:
		w := &line{ns: x.ns}
		w.entry(e)
		x.say("[entry" + w.String() + "]")
	case *snap.Unknown:
		if t, reg := opaqueTerm(e); t != nil {
			x.set(reg, t.kind.size, t)
			return true
		}
		x.say(unknownText(e))
	default:
		return false
	}
	return true
}

// unknownText writes an expression that the decoder does not know. "last" is
// one that decides nothing.
func unknownText(e *snap.Unknown) string {
	if e.Name == "last" {
		return "last"
	}
	return unknown(e.Name, e.Raw)
}

// statefulText writes a stateful expression without its numbers.
func statefulText(e snap.Expr) string {
	over := func(o bool) string {
		if o {
			return "over "
		}
		return ""
	}
	switch e := e.(type) {
	case *snap.Counter:
		return "counter"
	case *snap.Limit:
		return limitText(e)
	case *snap.Quota:
		n, unit := byteUnits(e.Bytes)
		return fmt.Sprintf("quota %s%d %s", over(e.Over), n, unit)
	case *snap.Connlimit:
		return fmt.Sprintf("ct count %s%d", over(e.Over), e.Count)
	case *snap.Unknown:
		return unknownText(e)
	}
	return unknown(e.Kind(), nil)
}

// byteUnits is a number of bytes in the largest unit that fits exactly.
func byteUnits(n uint64) (uint64, string) {
	unit := "bytes"
	for _, u := range []string{"kbytes", "mbytes", "gbytes"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, u
	}
	return n, unit
}

// limitText writes a limit (nftables: statement.c, limit_stmt_print).
func limitText(e *snap.Limit) string {
	unit := map[uint64]string{1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}[e.Unit]
	if unit == "" {
		unit = itoa(e.Unit) + "s"
	}
	over := ""
	if e.Over {
		over = "over "
	}
	if !e.Bytes {
		if e.Burst == 5 { // nft's default
			return fmt.Sprintf("limit rate %s%d/%s", over, e.Rate, unit)
		}
		return fmt.Sprintf("limit rate %s%d/%s burst %d packets", over, e.Rate, unit, e.Burst)
	}
	n, name := byteUnits(e.Rate)
	text := fmt.Sprintf("limit rate %s%d %s/%s", over, n, name, unit)
	if e.Burst != 0 {
		n, name = byteUnits(uint64(e.Burst))
		text += fmt.Sprintf(" burst %d %s", n, name)
	}
	return text
}

// logText writes a log statement (nftables: statement.c, log_stmt_print).
func logText(e *snap.Log) string {
	text := "log"
	if e.Prefix != "" {
		text += ` prefix "` + e.Prefix + `"`
	}
	if e.NFLog {
		text += " group " + itoa(e.Group)
	}
	if e.Snaplen != 0 {
		text += " snaplen " + itoa(e.Snaplen)
	}
	if e.QThresh != 0 {
		text += " queue-threshold " + itoa(e.QThresh)
	}
	if !e.NFLog && e.Level != 4 {
		levels := []string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit"}
		if int(e.Level) < len(levels) {
			text += " level " + levels[e.Level]
		}
	}
	const all = 0x2f
	if e.Flags&all == all {
		return text + " flags all"
	}
	var tcp []string
	if e.Flags&1 != 0 {
		tcp = append(tcp, "sequence")
	}
	if e.Flags&2 != 0 {
		tcp = append(tcp, "options")
	}
	if tcp != nil {
		text += " flags tcp " + strings.Join(tcp, ",")
	}
	for _, f := range []struct {
		bit  uint32
		name string
	}{{4, "ip options"}, {8, "skuid"}, {32, "ether"}} {
		if e.Flags&f.bit != 0 {
			text += " flags " + f.name
		}
	}
	return text
}

// dynset writes "add @set { key }" and the like.
func (x *nftRule) dynset(e *snap.Dynset) {
	size := 4
	s := x.table.Set(e.Set)
	if s != nil {
		size = s.KeyLen
	}
	name, _ := x.names(e.SregKey, size)
	if e.TimeoutMs != 0 {
		name += " timeout " + durationText(ms(e.TimeoutMs))
	}
	for _, in := range e.Exprs {
		name += " " + statefulText(in)
	}
	if e.SregData != snap.NoReg {
		k := kind{typeInteger, 4, false}
		if s != nil {
			k = kindOfType(s.DataType, s.DataLen)
		}
		name += " : " + x.source(e.SregData, k)
	}
	if s != nil && s.Anonymous && s.Dynamic {
		x.say(fmt.Sprintf("meter %s size %d { %s }", e.Set, s.Size, name))
		return
	}
	x.say(fmt.Sprintf("%s @%s { %s }", e.Op, e.Set, name))
}

// objref writes a reference to a stateful object.
func (x *nftRule) objref(e *snap.Objref) {
	name := `"` + e.Name + `"`
	typ := e.Type
	if e.Set != "" {
		s := x.table.Set(e.Set)
		size := 4
		if s != nil {
			size = s.KeyLen
			if typ == "" && s.DataType < uint32(len(objectTypes)) {
				typ = objectTypes[s.DataType]
			}
		}
		key, kinds := x.names(e.Sreg, size)
		body := "@" + e.Set
		if s != nil && s.Anonymous {
			body = x.elements(s, kinds, 0)
		}
		name = key + " map " + body
	}
	switch typ {
	case "ct-helper":
		x.say("ct helper set " + name)
	case "ct-timeout":
		x.say("ct timeout set " + name)
	case "ct-expect":
		x.say("ct expectation set " + name)
	case "secmark":
		x.say("meta secmark set " + name)
	case "connlimit":
		x.say("ct count name " + name)
	default:
		x.say(typ + " name " + name)
	}
}
