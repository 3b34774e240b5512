package firewall

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// iptRule is a rule as iptables thinks of it: the fixed part, matches in
// order, and what to do.
type iptRule struct {
	entry   snap.XtEntry
	matches []iptMatch
	target  *snap.Xt
	verdict *snap.Verdict
	native  iptTarget // a target made of nf_tables' own expressions
}

// iptMatch is an xt match, or one made of native expressions.
type iptMatch struct {
	xt     *snap.Xt
	name   string
	native saver
}

// iptTarget is a native target.
type iptTarget struct {
	name string
	save saver
}

// iptText writes a rule as iptables-save does. ok is false when it holds what
// iptables has no words for.
func iptText(w *line, c *snap.Chain, r *snap.Rule) (ok bool) {
	var x iptRule
	n := nativeReader{rule: &x, v6: w.v6, ns: w.ns}
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *snap.XtEntry:
			x.entry = *e
		case *snap.Xt:
			if e.Target {
				x.target = e
			} else {
				x.matches = append(x.matches, iptMatch{xt: e})
			}
		case *snap.Immediate:
			if e.Verdict != nil {
				x.verdict = e.Verdict
			} else if !n.take(e) {
				return false
			}
		default:
			if !n.take(e) {
				return false
			}
		}
	}
	w.WriteString("-A " + quotedChain(c.Name))
	w.entry(&x.entry)
	for _, m := range x.matches {
		if m.xt != nil {
			w.xtText(m.xt)
			continue
		}
		w.add("-m %s", m.name)
		m.native.save(w)
	}
	switch {
	case x.target != nil:
		w.xtText(x.target)
	case x.native.save != nil:
		w.add("-j %s", x.native.name)
		x.native.save.save(w)
	case x.verdict != nil:
		w.verdict(x.verdict)
	}
	return true
}

// quotedChain is a chain's name; those with a space are quoted.
func quotedChain(name string) string {
	for _, c := range name {
		if c == ' ' || c == '\t' {
			return `"` + name + `"`
		}
	}
	return name
}

// verdict writes -j or -g.
func (w *line) verdict(v *snap.Verdict) {
	switch v.Code {
	case "accept":
		w.add("-j ACCEPT")
	case "drop":
		w.add("-j DROP")
	case "return":
		w.add("-j RETURN")
	case "queue":
		w.add("-j QUEUE")
	case "jump":
		w.add("-j %s", quotedChain(v.Chain))
	case "goto":
		w.add("-g %s", quotedChain(v.Chain))
	default:
		w.add("[verdict %s]", v.Code)
	}
}

// entry writes the fixed part (iptables: iptables.c, print_rule4).
func (w *line) entry(e *snap.XtEntry) {
	inv := func(what string) bool { return slices.Contains(e.Inv, what) }
	if s := w.entryAddr(e.Src, e.SrcAddr, e.SrcMask, inv("src")); s != "" {
		w.opt(inv("src"), "-s %s", s)
	}
	if s := w.entryAddr(e.Dst, e.DstAddr, e.DstMask, inv("dst")); s != "" {
		w.opt(inv("dst"), "-d %s", s)
	}
	if e.InIf != "" {
		w.opt(inv("in"), "-i %s", e.InIf)
	}
	if e.OutIf != "" {
		w.opt(inv("out"), "-o %s", e.OutIf)
	}
	if e.Proto != 0 {
		w.opt(inv("proto"), "-p %s", protoName(e.Proto))
	}
	if e.Fragment {
		w.opt(inv("frag"), "-f")
	}
}

// entryAddr is an address with its mask; "" for any.
func (w *line) entryAddr(p netip.Prefix, addr, mask []byte, inverted bool) string {
	switch {
	case p.IsValid():
		return p.String()
	case addr != nil:
		a, _ := netip.AddrFromSlice(addr)
		m, _ := netip.AddrFromSlice(mask)
		if n, ok := ones(mask); ok {
			return netip.PrefixFrom(a, n).String()
		}
		return a.String() + "/" + m.String()
	case inverted && w.v6:
		return "::/0"
	case inverted:
		return "0.0.0.0/0"
	}
	return ""
}
