package fixups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RuleDelete deletes one rule: the one with Rule.Handle, or where there are no
// handles the one that does what Rule does, at Rule.Num if it is still there.
type RuleDelete struct {
	ChainRef
	Rule snap.Rule `json:"rule"`
	// Args or Text are the rule in iptables' or nft's language; without them the
	// lines for people name its position or handle. fixups/apply fills Args in
	// for iptables' systems, as a legacy rule can only be put back by them.
	Args []string `json:"args,omitempty"`
	Text string   `json:"text,omitempty"`
}

// RuleRestore puts a deleted rule back at its place, expression by expression.
type RuleRestore struct {
	ChainRef
	Num  int       `json:"num"` // position from 1
	Rule snap.Rule `json:"rule"`
	Args []string  `json:"args,omitempty"`
	Text string    `json:"text,omitempty"`
	// Sets are the anonymous sets that went with the rule.
	Sets []snap.Set `json:"sets,omitempty"`
}

func (*RuleDelete) Kind() string  { return "rule-delete" }
func (*RuleRestore) Kind() string { return "rule-restore" }

func (o *RuleDelete) Describe() string {
	if t := ruleText(o.Args, o.Text); t != "" {
		return fmt.Sprintf("delete from %s: %s%s", o.ChainRef, t, o.in())
	}
	return fmt.Sprintf("delete rule %d of %s%s", o.Rule.Num, o.ChainRef, o.in())
}

func (o *RuleRestore) Describe() string {
	if o.Rule.Handle == 0 && o.Text != "" { // it never was there
		return fmt.Sprintf("insert into %s as rule %d: %s%s", o.ChainRef, o.Num, o.Text, o.in())
	}
	if t := ruleText(o.Args, o.Text); t != "" {
		return fmt.Sprintf("put back into %s as rule %d: %s%s", o.ChainRef, o.Num, t, o.in())
	}
	return fmt.Sprintf("put back rule %d of %s%s", o.Num, o.ChainRef, o.in())
}

func (o *RuleDelete) Shell() []string {
	switch {
	case o.System == snap.NFT && o.Rule.Handle == 0: // the kernel gives it when the rule is made
		return []string{
			o.line(append([]string{"nft", "-a", "list", "chain"}, o.place()...)...),
			o.line(append(append([]string{"nft", "delete", "rule"}, o.place()...), "handle", "HANDLE")...),
		}
	case o.System == snap.NFT:
		return []string{o.line(append(append([]string{"nft", "delete", "rule"}, o.place()...), "handle", strconv.FormatUint(o.Rule.Handle, 10))...)}
	case len(o.Args) > 0:
		return []string{o.xtLine(append([]string{"-D", o.Chain}, o.Args...)...)}
	}
	return []string{o.xtLine("-D", o.Chain, strconv.Itoa(o.Rule.Num))}
}

// Shell has no line for a rule whose text is not known: only undo has its
// bytes.
func (o *RuleRestore) Shell() []string {
	if len(o.Args) == 0 && o.Text == "" {
		return []string{"# netdoctor undo puts rule " + strconv.Itoa(o.Num) + " of " + o.ChainRef.String() + " back from its journal"}
	}
	return []string{o.insertLine(o.Num, o.Args, o.Text)}
}

// FindRule is the index of a rule in a chain, -1 when it is not there: by
// handle, else by what it does at its place, else by what it does where that is
// unambiguous.
func FindRule(ch *snap.Chain, r *snap.Rule) int {
	if r.Handle != 0 {
		return slices.IndexFunc(ch.Rules, func(x snap.Rule) bool { return x.Handle == r.Handle })
	}
	want := Print(r)
	if r.Num > 0 && r.Num <= len(ch.Rules) && Print(&ch.Rules[r.Num-1]) == want {
		return r.Num - 1
	}
	at := -1
	for i := range ch.Rules {
		if Print(&ch.Rules[i]) != want {
			continue
		}
		if at >= 0 {
			return -1
		}
		at = i
	}
	return at
}

func (o *RuleDelete) On(s *snap.Snapshot) error {
	t, ch, err := o.must(s)
	if err != nil {
		return err
	}
	i := FindRule(ch, &o.Rule)
	if i < 0 {
		return snap.NotFoundf("%s has no such rule", o.ChainRef)
	}
	for _, set := range anonymous(t, &ch.Rules[i]) {
		t.Sets = snap.Without(t.Sets, func(x snap.Set) bool { return x.Name == set.Name })
	}
	ch.Rules = slices.Delete(ch.Rules, i, i+1)
	renumber(ch)
	return nil
}

// anonymous are the sets that live and die with the rule.
func anonymous(t *snap.Table, r *snap.Rule) []snap.Set {
	var out []snap.Set
	for _, e := range r.Exprs {
		name := ""
		switch e := e.(type) {
		case *snap.Lookup:
			name = e.Set
		case *snap.Dynset:
			name = e.Set
		case *snap.Objref:
			name = e.Set
		}
		if set := t.Set(name); name != "" && set != nil && set.Anonymous {
			out = append(out, *set)
		}
	}
	return out
}

func (o *RuleDelete) Inverse(s *snap.Snapshot) (Op, error) {
	t, ch, err := o.chain(s)
	if err != nil || ch == nil {
		return nil, err
	}
	i := FindRule(ch, &o.Rule)
	if i < 0 {
		return nil, nil
	}
	r := ch.Rules[i]
	return &RuleRestore{ChainRef: o.ChainRef, Num: r.Num, Rule: r, Args: o.Args, Text: o.Text, Sets: anonymous(t, &r)}, nil
}

func (o *RuleRestore) On(s *snap.Snapshot) error {
	t, ch, err := o.must(s)
	if err != nil {
		return err
	}
	if o.Num < 1 || o.Num > len(ch.Rules)+1 {
		return snap.NotFoundf("position %d of %s, which has %d rules", o.Num, o.ChainRef, len(ch.Rules))
	}
	for _, set := range o.Sets {
		if t.Set(set.Name) == nil {
			t.Sets = append(t.Sets, set)
		}
	}
	insert(ch, o.Num-1, o.Rule)
	return nil
}

func (o *RuleRestore) Inverse(s *snap.Snapshot) (Op, error) {
	if o.Holds(s) {
		return nil, nil
	}
	r := o.Rule
	r.Num = o.Num
	return &RuleDelete{ChainRef: o.ChainRef, Rule: r, Args: o.Args, Text: o.Text}, nil
}

// Risk depends on what the rule did: without one that let packets through
// fewer pass, without one that stopped them more do.
func (o *RuleDelete) Risk() Risk {
	for _, e := range o.Rule.Exprs {
		if im, ok := e.(*snap.Immediate); ok && im.Verdict != nil && im.Verdict.Code == "drop" && !narrow(o.Rule.Exprs) {
			return RiskHigh
		}
	}
	return RiskMedium
}

func (o *RuleRestore) Risk() Risk { return RiskMedium }

func (o *RuleDelete) Object(s *snap.Snapshot) any  { return o.object(s) }
func (o *RuleRestore) Object(s *snap.Snapshot) any { return o.object(s) }

func (o *RuleDelete) Holds(s *snap.Snapshot) bool {
	_, ch, err := o.chain(s)
	return err == nil && (ch == nil || FindRule(ch, &o.Rule) < 0)
}

func (o *RuleRestore) Holds(s *snap.Snapshot) bool {
	t, ch, err := o.chain(s)
	return err == nil && ch != nil && o.Num >= 1 && o.Num <= len(ch.Rules) && samePrint(&ch.Rules[o.Num-1], &o.Rule) &&
		slices.EqualFunc(anonymous(t, &ch.Rules[o.Num-1]), o.Sets, sameMembers)
}

// sameMembers says whether two sets hold the same, in whatever order.
func sameMembers(a, b snap.Set) bool {
	members := func(s *snap.Set) []string {
		var out []string
		for _, e := range s.Elements {
			end := e.KeyEnd
			if end == nil {
				end = e.Key
			}
			out = append(out, fmt.Sprint(e.Key, end, e.Data, e.Verdict))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(members(&a), members(&b))
}

// samePrint compares rules whose anonymous sets may have got other numbers.
func samePrint(a, b *snap.Rule) bool {
	strip := func(r *snap.Rule) string {
		c := *r
		c.Exprs = slices.Clone(r.Exprs)
		for i, e := range c.Exprs {
			if l, ok := e.(*snap.Lookup); ok && strings.HasPrefix(l.Set, "__") {
				n := *l
				n.Set = "__"
				c.Exprs[i] = &n
			}
		}
		return Print(&c)
	}
	return strip(a) == strip(b)
}
