package intent

import (
	"bytes"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Drift is the difference between what one engine wants and what is there.
type Drift struct {
	Set Set
	// Chains, maps and their elements that are missing.
	Chains []Chain
	Maps   []Map
	Jumps  []Jump
	Sets   []TableSet
	// Members are networks that an ipset lacks.
	Members []Member
	// Missing rules, in the order in which they are to be put back.
	Missing []Insert
	// Extra rules stand in chains that belong to the engine alone, and are not
	// what it wants: stale ones.
	Extra []Extra
}

// Insert is a missing rule with its place.
type Insert struct {
	Rule
	// Position from 1, counted when those before it in Drift.Missing are back and
	// those of Drift.Extra are gone that stand in another's place.
	Position int
}

// Extra is a rule that the engine does not want.
type Extra struct {
	Table string
	Chain string
	Text  string
	Ref   snap.Ref
	Num   int
	// Instead is the missing rule whose place it takes (a DNAT of the same
	// port to another address); nil when there is none.
	Instead *Rule
}

// Broken says whether anything is missing that matters.
func (d *Drift) Broken() bool {
	if len(d.Chains)+len(d.Maps)+len(d.Jumps)+len(d.Sets)+len(d.Members) > 0 {
		return true
	}
	return slices.ContainsFunc(d.Missing, func(i Insert) bool { return !i.Optional })
}

// Diff compares what is wanted with the host's rules.
func Diff(s *snap.Snapshot, set Set) Drift {
	d := Drift{Set: set}
	host := set.At(s)
	if host == nil {
		return d
	}
	for _, c := range set.Chains {
		if t := host.Ruleset.Table(set.System, set.Family, c.Table); t == nil || t.Chain(c.Name) == nil {
			d.Chains = append(d.Chains, c)
		}
	}
	d.maps(host)
	d.members(host)
	type key struct{ table, chain string }
	var order []key
	want := map[key][]Rule{}
	for _, r := range set.Rules {
		k := key{r.Table, r.Chain}
		if _, ok := want[k]; !ok {
			order = append(order, k)
		}
		want[k] = append(want[k], r)
	}
	for _, c := range set.Chains { // those that are to be empty
		if k := (key{c.Table, c.Name}); want[k] == nil {
			order = append(order, k)
		}
	}
	for _, k := range order {
		d.chain(host, k.table, k.chain, want[k])
	}
	return d
}

// At is the namespace that the set is of; nil when the snapshot lacks it.
func (set *Set) At(s *snap.Snapshot) *snap.Netns {
	if set.Netns == "" {
		return s.HostNs()
	}
	return s.Ns(set.Netns)
}

// maps compares the maps and their elements.
func (d *Drift) maps(host *snap.Netns) {
	find := func(table, name string) *snap.Set {
		if t := host.Ruleset.Table(d.Set.System, d.Set.Family, table); t != nil {
			return t.Set(name)
		}
		return nil
	}
	for _, m := range d.Set.Maps {
		if find(m.Table, m.Name) == nil {
			d.Maps = append(d.Maps, m)
		}
	}
	for _, j := range d.Set.Jumps {
		m := find(j.Table, j.Map)
		if m != nil && m.Unread != "" {
			continue // not known: no drift is claimed
		}
		if m == nil || !slices.ContainsFunc(m.Elements, j.is) {
			d.Jumps = append(d.Jumps, j)
		}
	}
	for _, w := range d.Set.Sets {
		if m := find(w.Table, w.Set.Name); m == nil || m.Unread == "" && !holds(m, &w.Set) {
			d.Sets = append(d.Sets, w)
		}
	}
}

// holds says whether a set has all wanted elements.
func holds(have, want *snap.Set) bool {
	for _, w := range want.Elements {
		if !slices.ContainsFunc(have.Elements, func(e snap.Element) bool { return bytes.Equal(e.Key, w.Key) && bytes.Equal(e.Data, w.Data) }) {
			return false
		}
	}
	return true
}

// is says whether an element of a map is the jump.
func (j Jump) is(e snap.Element) bool {
	return string(bytes.TrimRight(e.Key, "\x00")) == j.Device && e.Verdict != nil && e.Verdict.Code == "jump" && e.Verdict.Chain == j.Chain
}

// chain compares one chain.
func (d *Drift) chain(host *snap.Netns, table, chain string, want []Rule) {
	t := host.Ruleset.Table(d.Set.System, d.Set.Family, table)
	var texts []string
	own := chain != "DOCKER-USER" && chain != "NETDOCTOR-USER" && slices.ContainsFunc(d.Set.Chains, func(c Chain) bool {
		return c.Table == table && c.Name == chain && (c.Hook == "" || d.Set.System == snap.NFT)
	})
	if t != nil {
		if c := t.Chain(chain); c != nil {
			if c.Unread != "" {
				return // not known: no drift is claimed
			}
			all := make([]string, len(c.Rules))
			for i := range c.Rules {
				all[i] = firewall.RuleText(host, t, c, &c.Rules[i])
			}
			for i, text := range all {
				if own && !slices.ContainsFunc(want, func(r Rule) bool { return r.Text == text }) {
					instead := replaced(text, want, all)
					d.Extra = append(d.Extra, Extra{
						Table: table, Chain: chain, Text: text, Num: c.Rules[i].Num,
						Ref: snap.RefRule(host.ID, t, chain, c.Rules[i].Num), Instead: instead,
					})
					if instead != nil {
						continue
					}
				}
				texts = append(texts, text)
			}
		}
	}
	for i, r := range want {
		if slices.Contains(texts, r.Text) {
			continue
		}
		at := len(texts)
		if !r.Append {
			at = place(texts, want, i)
		}
		texts = slices.Insert(texts, at, r.Text)
		d.Missing = append(d.Missing, Insert{Rule: r, Position: at + 1})
	}
}

// place is where the i-th wanted rule belongs among the present ones: right
// before the next wanted one that is there; else right behind the one before;
// else on top, as engines insert into the kernel's own chains.
func place(texts []string, want []Rule, i int) int {
	for _, r := range want[i+1:] {
		if at := slices.Index(texts, r.Text); at >= 0 {
			return at
		}
	}
	for j := i - 1; j >= 0; j-- {
		if at := slices.Index(texts, want[j].Text); at >= 0 {
			return at + 1
		}
	}
	if strings.HasPrefix(want[i].Chain, "DOCKER") || strings.HasPrefix(want[i].Chain, "NETDOCTOR") {
		return len(texts)
	}
	return 0
}

// replaced finds the missing rule that an unwanted one stands for: the same up
// to its target address, or to its port, or but for its verdict.
func replaced(text string, want []Rule, present []string) *Rule {
	for i := range want {
		if opposite(text, want[i].Text) && !slices.Contains(present, want[i].Text) {
			return &want[i]
		}
	}
	for _, mark := range []string{" --to-destination ", " --dport "} {
		head, _, found := strings.Cut(text, mark)
		if !found {
			continue
		}
		for i := range want {
			if strings.HasPrefix(want[i].Text, head+mark) && sameEnd(text, want[i].Text, mark) && !slices.Contains(present, want[i].Text) {
				return &want[i]
			}
		}
	}
	return nil
}

// opposite says whether two rules are one but for their verdict.
func opposite(a, b string) bool {
	verdict := func(s string) bool {
		return slices.Contains([]string{"accept", "drop", "reject", "return"}, strings.ToLower(s))
	}
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) != len(y) {
		return false
	}
	differ := 0
	for i := range x {
		if x[i] == y[i] {
			continue
		}
		if !verdict(x[i]) || !verdict(y[i]) {
			return false
		}
		differ++
	}
	return differ == 1
}

// sameEnd says whether two rules go on alike behind the word that follows mark.
func sameEnd(a, b, mark string) bool {
	rest := func(s string) string {
		_, tail, _ := strings.Cut(s, mark)
		_, end, _ := strings.Cut(tail, " ")
		return end
	}
	return rest(a) == rest(b)
}
