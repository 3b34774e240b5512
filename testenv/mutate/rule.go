package mutate

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// existing is a rule of the host or of a container, with where it is.
type existing struct {
	ns   *snap.Netns
	t    *snap.Table
	c    *snap.Chain
	r    *snap.Rule
	text string
}

// iptables says whether iptables wrote the rule and takes its text again.
func (e *existing) iptables() bool {
	return e.t.System == snap.IPTablesNFT && strings.HasPrefix(e.text, "-A ")
}

func (g *gen) family(f snap.Family) string {
	switch f {
	case snap.IPv4:
		return "ip"
	case snap.IPv6:
		return "ip6"
	}
	return string(f)
}

// rules are all IPv4 rules of the host, or of a container.
func (g *gen) rules() []existing {
	ns, _ := g.side()
	if g.chance(60) {
		ns = g.host
	}
	var out []existing
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		if t.Family != snap.IPv4 && t.Family != snap.Inet || t.System == snap.IPTablesLegacy {
			continue
		}
		for j := range t.Chains {
			c := &t.Chains[j]
			for k := range c.Rules {
				out = append(out, existing{ns, t, c, &c.Rules[k], firewall.RuleText(ns, t, c, &c.Rules[k])})
			}
		}
	}
	return out
}

// key are the words of a rule that tell it from others: addresses, ports,
// devices of its own.
func (g *gen) key(e *existing) []string {
	var out []string
	for f := range strings.FieldsSeq(e.text) {
		f = strings.Trim(f, `"`)
		if strings.ContainsAny(f, "./:") && strings.ContainsAny(f, "0123456789") {
			out = append(out, strings.TrimSuffix(f, "/32"))
		}
	}
	for _, t := range g.on {
		if holds(e.text, t.bridge.Name) {
			out = append(out, t.bridge.Name)
			break
		}
	}
	return out
}

// place are the words by which a finding may speak of a rule that is gone: its
// own, its text, or, when it let something pass, the policy that now does not.
func (g *gen) place(e *existing) [][]string {
	who := g.who(e.ns)
	out := [][]string{append(append([]string{}, who...), e.text)}
	if k := g.key(e); len(k) > 0 {
		out = append(out, append(append([]string{}, who...), k...))
		out = append(out, append(append([]string{}, who...), k[0], e.t.Name)) // "table nat of app 172.20.0.0/16"
	}
	out = append(out, append(append([]string{}, who...), e.c.Name, "policy"))
	if g.on[0].c.Engine != "docker" {
		out = append(out, append(append([]string{}, who...), e.t.Name, e.c.Name, "drops")) // by the next rule of the same chain
	}
	if strings.Contains(e.text, "127.0.0.11") {
		out = append(out, append(append([]string{}, who...), "embedded DNS 127.0.0.11"))
	}
	if g.on[0].c.Engine != "docker" && e.c.Hook == "" && e.t.Name == "filter" {
		// Of engines whose intent is not known the end of the base chain is all that can be told.
		for _, base := range []string{"FORWARD", "INPUT", "OUTPUT"} {
			out = append(out, append(append([]string{}, who...), "filter", base, "policy"))
		}
	}
	for _, t := range g.on { // a published port: by its number and its container's name
		for _, p := range t.c.Ports {
			if port := fmt.Sprint(p.HostPort); p.HostPort != 0 && holds(e.text, port) {
				out = append(out, []string{port, t.c.Name})
			}
		}
	}
	for f := range strings.FieldsSeq(e.text) { // a jump to a chain: it is named
		if f == strings.ToUpper(f) && strings.ContainsAny(f, "-_") && !strings.HasPrefix(f, "-") {
			out = append(out, append(append([]string{}, who...), e.c.Name, f))
		}
	}
	return out
}

func ruleGone(g *gen) (Mutation, bool) {
	list := g.rules()
	if len(list) == 0 {
		return Mutation{}, false
	}
	e := pick(g, list...)
	m := Mutation{
		Kind: "rule deleted " + e.t.Name + " " + e.c.Name, Netns: e.ns.ID, Place: g.place(&e),
		Do: fmt.Sprintf("# %s\nnft delete rule %s %s %s handle %d", e.text, g.family(e.t.Family), e.t.Name, e.c.Name, e.r.Handle),
	}
	if args, ok := strings.CutPrefix(e.text, "-A "+e.c.Name); ok && e.iptables() {
		m.Undo = fmt.Sprintf("iptables -t %s -I %s %d%s", e.t.Name, e.c.Name, e.r.Num, args)
	}
	return m, true
}

// ruleChanged puts another value into one of the rule's words.
func ruleChanged(g *gen) (Mutation, bool) {
	list := g.rules()
	if len(list) == 0 {
		return Mutation{}, false
	}
	e := pick(g, list...)
	f := strings.Fields(e.text)
	var at []int
	for i, w := range f {
		if changed(w) != w && (i == 0 || f[i-1] != "-A" && f[i-1] != "-j") || w == "ACCEPT" || w == "accept" {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return Mutation{}, false
	}
	i := pick(g, at...)
	old := f[i]
	if f[i] = changed(old); old == "ACCEPT" {
		f[i] = "DROP"
	} else if old == "accept" {
		f[i] = "drop"
	}
	m := Mutation{Kind: "rule changed " + e.t.Name + " " + e.c.Name, Netns: e.ns.ID, Place: append(g.place(&e), append(g.who(e.ns), e.c.Name, strings.Trim(f[i], `"`)))}
	text := strings.Join(f, " ")
	switch {
	case e.iptables():
		args := strings.TrimPrefix(text, "-A "+e.c.Name)
		m.Do = fmt.Sprintf("# %s\niptables -t %s -R %s %d%s", e.text, e.t.Name, e.c.Name, e.r.Num, args)
		m.Undo = fmt.Sprintf("iptables -t %s -R %s %d%s", e.t.Name, e.c.Name, e.r.Num, strings.TrimPrefix(e.text, "-A "+e.c.Name))
	case e.t.System == snap.NFT:
		m.Do = fmt.Sprintf("# %s\nnft replace rule %s %s %s handle %d '%s'", e.text, g.family(e.t.Family), e.t.Name, e.c.Name, e.r.Handle, text)
		m.Undo = ""
	default:
		return Mutation{}, false
	}
	return m, true
}

// changed is another value of the same kind; the word itself when it is none.
func changed(w string) string {
	q := strings.HasPrefix(w, `"`)
	v := strings.Trim(w, `"`)
	switch {
	case strings.HasPrefix(v, "br-") || strings.HasPrefix(v, "nd-") || v == "docker0":
		v += "x"
	case strings.Count(v, ".") == 3:
		v = strings.Replace(v, ".", ".1", 1)
		if strings.HasPrefix(v, "127.") || !validAddr(v) {
			return w
		}
	case v != "" && strings.Trim(v, "0123456789") == "" && len(v) >= 2:
		v = "1" + v
		if len(v) > 4 {
			v = v[:4]
		}
	default:
		return w
	}
	if q {
		v = `"` + v + `"`
	}
	return v
}

func validAddr(v string) bool {
	host, _, _ := strings.Cut(v, "/")
	host, _, _ = strings.Cut(host, ":")
	for p := range strings.SplitSeq(host, ".") {
		if len(p) > 3 || len(p) == 3 && p > "255" {
			return false
		}
	}
	return true
}

func chainFlushed(g *gen) (Mutation, bool) {
	list := g.rules()
	if len(list) == 0 {
		return Mutation{}, false
	}
	e := pick(g, list...)
	m := Mutation{
		Kind: "chain flushed " + e.t.Name + " " + e.c.Name, Netns: e.ns.ID,
		Do: fmt.Sprintf("nft flush chain %s %s %s", g.family(e.t.Family), e.t.Name, e.c.Name), Place: words(append(g.who(e.ns), e.c.Name)),
	}
	var undo strings.Builder
	for i := range e.c.Rules {
		x := existing{e.ns, e.t, e.c, &e.c.Rules[i], firewall.RuleText(e.ns, e.t, e.c, &e.c.Rules[i])}
		if !x.iptables() {
			return m, true
		}
		fmt.Fprintf(&undo, "iptables -t %s %s\n", e.t.Name, x.text)
		m.Place = append(m.Place, g.place(&x)...)
	}
	m.Undo = undo.String()
	return m, true
}

func policyChanged(g *gen) (Mutation, bool) {
	t := g.target()
	ns := g.host
	if g.chance(25) {
		ns = t.ns
	}
	chain := pick(g, "INPUT", "OUTPUT", "FORWARD")
	table := pick(g, "filter", "filter", "mangle")
	tool := g.tool()
	old := "ACCEPT"
	for i := range ns.Ruleset.Tables {
		tb := &ns.Ruleset.Tables[i]
		for j := range tb.Chains {
			if c := &tb.Chains[j]; tb.System == snap.IPTablesNFT && tool == "iptables" && tb.Family == snap.IPv4 && tb.Name == table && c.Name == chain && c.Policy == "drop" {
				old = "DROP"
			}
		}
	}
	if old == "DROP" {
		return Mutation{}, false
	}
	return Mutation{
		Kind: "policy " + table + " " + chain, Netns: ns.ID, Do: fmt.Sprintf("%s -t %s -P %s DROP", tool, table, chain),
		Undo: fmt.Sprintf("%s -t %s -P %s %s", tool, table, chain, old), Place: words(append(g.who(ns), chain, "policy"), append(g.who(ns), "-P "+chain)),
	}, true
}
