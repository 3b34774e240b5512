package diff

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// place is how people write a table or chain.
func place(t *snap.Table, chain string) string {
	p := t.Name
	if t.System == snap.NFT {
		p = string(t.Family) + " " + t.Name
	} else if t.Family != snap.IPv4 {
		p += " (" + string(t.Family) + ")"
	}
	if chain != "" {
		p += " " + chain
	}
	return p
}

func (n *nsDiffer) tables() {
	key := func(t *snap.Table) string { return string(t.System) + " " + string(t.Family) + " " + t.Name }
	pair(n.a.Ruleset.Tables, n.b.Ruleset.Tables, key, func(_ string, x, y *snap.Table) {
		switch {
		case y == nil:
			if rules(x) == 0 && !dropping(x) {
				return // an empty table: a tool made it by looking
			}
			n.add(Change{Sign: "-", Noun: "table", Name: place(x, ""), Text: fmt.Sprintf("table %s is gone, with %s", place(x, ""), ruleCount(rules(x))), Ref: snap.RefTable(n.a.ID, x), on: n.in(func(ns *snap.Netns) {
				ns.Ruleset.Tables = snap.Without(ns.Ruleset.Tables, func(t snap.Table) bool { return key(&t) == key(x) })
			})})
		case x == nil:
			if rules(y) == 0 && !dropping(y) {
				return
			}
			n.add(Change{Sign: "+", Noun: "table", Name: place(y, ""), Text: fmt.Sprintf("table %s is new, with %s", place(y, ""), ruleCount(rules(y))), Ref: snap.RefTable(n.b.ID, y), on: n.in(func(ns *snap.Netns) {
				ns.Ruleset.Tables = append(ns.Ruleset.Tables, *y)
			})})
		default:
			n.table(x, y)
		}
	})
}

func rules(t *snap.Table) int {
	k := 0
	for i := range t.Chains {
		k += len(t.Chains[i].Rules)
	}
	return k
}

func dropping(t *snap.Table) bool {
	return slices.ContainsFunc(t.Chains, func(c snap.Chain) bool { return c.Policy == "drop" })
}

func ruleCount(k int) string {
	if k == 1 {
		return "1 rule"
	}
	return fmt.Sprintf("%d rules", k)
}

// idle says whether a base chain does nothing at all.
func idle(c *snap.Chain) bool { return c.Base() && len(c.Rules) == 0 && c.Policy != "drop" }

// tab runs on this table of a snapshot.
func (n *nsDiffer) tab(a *snap.Table, do func(*snap.Netns, *snap.Table)) func(*snap.Snapshot) {
	return n.in(func(ns *snap.Netns) {
		if t := ns.Ruleset.Table(a.System, a.Family, a.Name); t != nil {
			do(ns, t)
		}
	})
}

func (n *nsDiffer) table(a, b *snap.Table) {
	if a.Dormant != b.Dormant {
		n.add(Change{Sign: "~", Noun: "table", Name: place(b, ""), Text: fmt.Sprintf("table %s dormant %s → %s", place(b, ""), onOff(a.Dormant), onOff(b.Dormant)), Ref: snap.RefTable(n.b.ID, b), on: n.tab(a, func(_ *snap.Netns, t *snap.Table) { t.Dormant = b.Dormant })})
	}
	pair(a.Chains, b.Chains, func(c *snap.Chain) string { return c.Name }, func(name string, x, y *snap.Chain) {
		switch {
		case x != nil && y == nil && idle(x), y != nil && x == nil && idle(y):
			// A tool made it by looking, or took it away.
		case y == nil:
			n.add(Change{Sign: "-", Noun: "chain", Name: place(a, name), Text: fmt.Sprintf("chain %s is gone, with %s", place(a, name), ruleCount(len(x.Rules))), Ref: snap.RefChain(n.a.ID, a, name), on: n.tab(a, func(_ *snap.Netns, t *snap.Table) {
				t.Chains = snap.Without(t.Chains, func(c snap.Chain) bool { return c.Name == name })
			})})
		case x == nil:
			n.add(Change{Sign: "+", Noun: "chain", Name: place(b, name), Text: fmt.Sprintf("chain %s is new, with %s", place(b, name), ruleCount(len(y.Rules))), Ref: snap.RefChain(n.b.ID, b, name), on: n.tab(a, func(_ *snap.Netns, t *snap.Table) { t.Chains = append(t.Chains, *y) })})
		default:
			if x.Policy != y.Policy {
				n.add(Change{Sign: "~", Noun: "policy", Name: place(b, name), Text: fmt.Sprintf("policy of %s %s → %s", place(b, name), x.Policy, y.Policy), Ref: snap.RefChain(n.b.ID, b, name), on: n.tab(a, func(_ *snap.Netns, t *snap.Table) {
					if c := t.Chain(name); c != nil {
						c.Policy = y.Policy
					}
				})})
			}
			n.chain(a, b, x, y)
		}
	})
	pair(a.Sets, b.Sets, func(s *snap.Set) string { return s.Name }, func(name string, x, y *snap.Set) {
		if x == nil || y == nil || x.Anonymous || x.Dynamic || x.Timeout {
			return // they come and go with their rules, or by themselves
		}
		text := func(ns *snap.Netns, s *snap.Set) (out []string) {
			for i := range s.Elements {
				out = append(out, firewall.ElementText(ns, s, &s.Elements[i]))
			}
			return out
		}
		gone, come := lists(text(n.a, x), text(n.b, y))
		for _, c := range []struct {
			sign, word string
			list       []string
		}{{"-", "removed from", gone}, {"+", "added to", come}} {
			if len(c.list) > 0 {
				n.add(Change{Sign: c.sign, Noun: "set", Name: place(b, name), Text: fmt.Sprintf("%s %s set %s", few(c.list), c.word, place(b, name)), Ref: snap.RefTable(n.b.ID, b), on: n.tab(a, func(_ *snap.Netns, t *snap.Table) {
					if s := t.Set(name); s != nil {
						s.Elements = y.Elements
					}
				})})
			}
		}
	})
}

// few names the first of a list.
func few(list []string) string {
	if len(list) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:3], ", "), len(list)-3)
	}
	return strings.Join(list, ", ")
}

// chain compares the rules of a chain in order.
func (n *nsDiffer) chain(ta, tb *snap.Table, a, b *snap.Chain) {
	text := func(ns *snap.Netns, t *snap.Table, c *snap.Chain) []string {
		out := make([]string, len(c.Rules))
		for i := range c.Rules {
			out[i] = firewall.RuleText(ns, t, c, &c.Rules[i])
		}
		return out
	}
	x, y := text(n.a, ta, a), text(n.b, tb, b)
	gone, come := edits(n.steady(x), n.steady(y))
	name := b.Name
	short := func(t string) string { return strings.TrimPrefix(t, "-A "+name+" ") }
	moved := map[int]bool{}
	for _, i := range gone {
		to := slices.IndexFunc(come, func(j int) bool { return y[j] == x[i] && !moved[j] })
		remove := func(ns *snap.Netns, t *snap.Table, c *snap.Chain) {
			best := -1
			for k := range c.Rules {
				if firewall.RuleText(ns, t, c, &c.Rules[k]) == x[i] && (best < 0 || abs(k-i) < abs(best-i)) {
					best = k
				}
			}
			if best >= 0 {
				c.Rules = slices.Delete(c.Rules, best, best+1)
			}
		}
		c := Change{Sign: "-", Noun: "rule", Name: place(ta, name), Text: fmt.Sprintf("rule removed from %s: %s", place(ta, name), short(x[i])), Ref: snap.RefRule(n.a.ID, ta, name, i+1), on: n.inChain(ta, name, remove)}
		if to >= 0 {
			j := come[to]
			moved[j] = true
			c.Sign, c.Text = "~", fmt.Sprintf("rule of %s moved from %d to %d: %s", place(ta, name), i+1, j+1, short(x[i]))
			c.Ref = snap.RefRule(n.b.ID, tb, name, j+1)
			c.on = n.inChain(ta, name, func(ns *snap.Netns, t *snap.Table, ch *snap.Chain) {
				remove(ns, t, ch)
				insert(ns, t, ch, b.Rules[j], y, j)
			})
		}
		n.add(c)
	}
	for _, j := range come {
		if moved[j] {
			continue
		}
		n.add(Change{Sign: "+", Noun: "rule", Name: place(tb, name), Text: fmt.Sprintf("rule %d added to %s: %s", j+1, place(tb, name), short(y[j])), Ref: snap.RefRule(n.b.ID, tb, name, j+1), on: n.inChain(ta, name, func(ns *snap.Netns, t *snap.Table, c *snap.Chain) {
			insert(ns, t, c, b.Rules[j], y, j)
		})})
	}
}

// resolverPort are the random ports on which Docker's embedded resolver listens
// in a namespace (moby libnetwork/resolver_unix.go), as its rules have them.
var resolverPort = regexp.MustCompile(`(127\.0\.0\.11:)\d+|(sport )\d+(.* :53$)`)

// steady are the rules without what is another after each start of a container.
func (n *nsDiffer) steady(texts []string) []string {
	if n.a.Inode == n.b.Inode || n.a.Class != snap.ClassContainer {
		return texts
	}
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = resolverPort.ReplaceAllString(t, "$1$2*$3")
	}
	return out
}

func (n *nsDiffer) inChain(a *snap.Table, name string, do func(*snap.Netns, *snap.Table, *snap.Chain)) func(*snap.Snapshot) {
	return n.tab(a, func(ns *snap.Netns, t *snap.Table) {
		if c := t.Chain(name); c != nil {
			do(ns, t, c)
		}
	})
}

// insert puts a rule before the first of those that follow it in the newer chain
// and are here, else at the end.
func insert(ns *snap.Netns, t *snap.Table, c *snap.Chain, r snap.Rule, texts []string, j int) {
	at := len(c.Rules)
	for _, next := range texts[j+1:] {
		if k := slices.IndexFunc(c.Rules, func(o snap.Rule) bool { return firewall.RuleText(ns, t, c, &o) == next }); k >= 0 {
			at = k
			break
		}
	}
	c.Rules = slices.Insert(c.Rules, at, r)
}

func abs(i int) int {
	if i < 0 {
		return -i
	}
	return i
}

// maxTable bounds the table of the longest common subsequence; beyond it the
// order of rules is not looked at, only which there are.
const maxTable = 4 << 20

// edits are the positions of a that are gone and of b that are new, by the
// longest common subsequence.
func edits(a, b []string) (gone, come []int) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	ea, eb := len(a), len(b)
	for ea > head && eb > head && a[ea-1] == b[eb-1] {
		ea--
		eb--
	}
	x, y := a[head:ea], b[head:eb]
	if len(x)*len(y) > maxTable {
		left := map[string]int{}
		for _, t := range y {
			left[t]++
		}
		for i, t := range x {
			if left[t]--; left[t] < 0 {
				gone = append(gone, head+i)
			}
		}
		left = map[string]int{}
		for _, t := range x {
			left[t]++
		}
		for i, t := range y {
			if left[t]--; left[t] < 0 {
				come = append(come, head+i)
			}
		}
		return gone, come
	}
	long := make([][]int32, len(x)+1)
	for i := range long {
		long[i] = make([]int32, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				long[i][j] = long[i+1][j+1] + 1
			} else {
				long[i][j] = max(long[i+1][j], long[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			i++
			j++
		case j == len(y) || i < len(x) && long[i+1][j] >= long[i][j+1]:
			gone = append(gone, head+i)
			i++
		default:
			come = append(come, head+j)
			j++
		}
	}
	return gone, come
}
