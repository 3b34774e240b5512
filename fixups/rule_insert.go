package fixups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RuleInsert adds a rule to a chain.
type RuleInsert struct {
	ChainRef
	// Position counts from 1; 0 appends.
	Position int `json:"position"`
	// Args is the rule in iptables(8)'s arguments, for iptables' systems.
	Args []string `json:"args,omitempty"`
	// Text is the rule in nft(8)'s language, for nft.
	Text string `json:"text,omitempty"`
	// IPSets are the kernel's numbers of the sets of ipset(8) that Args name.
	IPSets map[string]int `json:"ipsets,omitempty"`
}

func (*RuleInsert) Kind() string { return "rule-insert" }

// text is the rule for people.
func (o *RuleInsert) text() string { return ruleText(o.Args, o.Text) }

func ruleText(args []string, text string) string {
	if text != "" {
		return text
	}
	return words(args...)
}

func (o *RuleInsert) Describe() string {
	verb := "append to " + o.ChainRef.String()
	if o.Position > 0 {
		verb = fmt.Sprintf("insert into %s as rule %d", o.ChainRef, o.Position)
	}
	return fmt.Sprintf("%s: %s%s", verb, o.text(), o.in())
}

func (o *RuleInsert) Shell() []string { return []string{o.insertLine(o.Position, o.Args, o.Text)} }

// insertLine adds a rule before the one that is at the position now.
func (c ChainRef) insertLine(pos int, args []string, text string) string {
	if c.System != snap.NFT {
		verb := []string{"-A", c.Chain}
		switch {
		case pos == 1:
			verb = []string{"-I", c.Chain}
		case pos > 1:
			verb = []string{"-I", c.Chain, strconv.Itoa(pos)}
		}
		return c.xtLine(append(verb, args...)...)
	}
	verb := []string{"nft", "add", "rule"}
	if pos > 0 {
		verb[1] = "insert"
	}
	verb = append(verb, c.place()...)
	if pos > 1 {
		verb = append(verb, "index", strconv.Itoa(pos-1))
	}
	if rule := nftWords(text); words(rule...) == strings.Join(rule, " ") {
		return c.line(append(verb, rule...)...)
	}
	return c.line(append(verb, text)...) // in quotes as a whole: nft joins its words
}

// nftWords splits rule text at blanks outside of quotes, so that what needs
// quotes for the shell gets its own.
func nftWords(text string) []string {
	var out []string
	var cur strings.Builder
	quoted := false
	for _, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
			cur.WriteRune(r)
		case r == ' ' && !quoted:
			if cur.Len() > 0 {
				out = append(out, cur.String())
			}
			cur.Reset()
		default:
			cur.WriteRune(r)
		}
	}
	if cur.Len() > 0 {
		out = append(out, cur.String())
	}
	return out
}

// Compile is the rule as the kernel would hold it.
func (o *RuleInsert) Compile() (snap.Rule, error) {
	switch {
	case o.foreign():
		return snap.Rule{}, fmt.Errorf("writing rules of %s: %w", o.tool(), snap.ErrUnsupported)
	case o.System == snap.NFT:
		return compileNFT(o.Family, o.Text)
	}
	return compileArgs(o.System, o.Family, o.Args, o.IPSets)
}

func (o *RuleInsert) On(s *snap.Snapshot) error {
	r, err := o.Compile()
	if err != nil {
		return fmt.Errorf("rule %s: %w", o.text(), err)
	}
	if err := o.make(s); err != nil {
		return err
	}
	t, ch, err := o.must(s)
	if err != nil {
		return err
	}
	for _, e := range r.Exprs {
		if im, ok := e.(*snap.Immediate); ok && im.Verdict != nil && im.Verdict.Chain != "" && t.Chain(im.Verdict.Chain) == nil {
			return snap.NotFoundf("rule %s: no chain %s in table %s", o.text(), im.Verdict.Chain, t.Name)
		}
	}
	at, err := o.index(ch)
	if err != nil {
		return err
	}
	insert(ch, at, r)
	return nil
}

func (o *RuleInsert) index(ch *snap.Chain) (int, error) {
	switch {
	case o.Position == 0:
		return len(ch.Rules), nil
	case o.Position < 0 || o.Position > len(ch.Rules)+1:
		return 0, snap.NotFoundf("position %d of %s, which has %d rules", o.Position, o.ChainRef, len(ch.Rules))
	}
	return o.Position - 1, nil
}

// make makes the table and iptables' own chain where they are not there yet, as
// iptables does (iptables/nft.c:nft_xt_builtin_init).
func (o *RuleInsert) make(s *snap.Snapshot) error {
	for _, op := range o.missing(s) {
		if err := op.On(s); err != nil {
			return err
		}
	}
	return nil
}

// missing are the operations that make what iptables would make along.
func (o *RuleInsert) missing(s *snap.Snapshot) []Op {
	_, t, err := o.table(s)
	if err != nil || !o.IPTables() {
		return nil
	}
	hook, typ, prio, ok := builtinHook(o.Table, o.Chain)
	if !ok {
		return nil
	}
	var out []Op
	if t == nil {
		out = append(out, &TableAdd{ChainRef: ChainRef{Where: o.Where, System: o.System, Family: o.Family, Table: o.Table}})
	}
	if t == nil || t.Chain(o.Chain) == nil {
		out = append(out, &ChainAdd{ChainRef: o.ChainRef, Hook: hook, Type: typ, Priority: prio, Policy: "accept"})
	}
	return out
}

// Inverse deletes it again, and what was made along.
func (o *RuleInsert) Inverse(s *snap.Snapshot) (Op, error) {
	r, err := o.Compile()
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", o.text(), err)
	}
	_, ch, err := o.chain(s)
	if err != nil {
		return nil, err
	}
	r.Num = o.Position
	if ch == nil {
		r.Num = 1
	} else if o.Position == 0 {
		r.Num = len(ch.Rules) + 1
	}
	back := []Op{&RuleDelete{ChainRef: o.ChainRef, Rule: r, Args: o.Args, Text: o.Text}}
	if o.System == snap.IPTablesLegacy {
		return back[0], nil // its tables stay registered, empty
	}
	made, err := inverses(o.missing(s), s)
	if err != nil {
		return nil, err
	}
	return seq(append(back, made...)...), nil
}

// Risk is high for what opens a chain to more than one flow could need.
func (o *RuleInsert) Risk() Risk {
	r, err := o.Compile()
	if err != nil {
		return RiskHigh
	}
	for _, e := range r.Exprs {
		if im, ok := e.(*snap.Immediate); ok && im.Verdict != nil && im.Verdict.Code == "accept" && !narrow(r.Exprs) {
			return RiskHigh
		}
	}
	return RiskMedium
}

// narrow says whether a rule tests anything at all.
func narrow(x snap.Exprs) bool {
	return slices.ContainsFunc(x, func(e snap.Expr) bool {
		switch e := e.(type) {
		case *snap.Cmp, *snap.Range, *snap.Lookup:
			return true
		case *snap.Xt:
			return !e.Target && e.Name != "comment"
		case *snap.XtEntry:
			return e.InIf != "" || e.OutIf != "" || e.Src.IsValid() || e.Dst.IsValid() || e.Proto != 0
		}
		return false
	})
}

func (o *RuleInsert) Object(s *snap.Snapshot) any { return o.object(s) }

// Holds says whether the very same rule is at the position already.
func (o *RuleInsert) Holds(s *snap.Snapshot) bool {
	r, err := o.Compile()
	if err != nil {
		return false
	}
	_, ch, err := o.chain(s)
	if err != nil || ch == nil {
		return false
	}
	at := o.Position - 1
	if o.Position == 0 {
		at = len(ch.Rules) - 1
	}
	return at >= 0 && at < len(ch.Rules) && Print(&ch.Rules[at]) == Print(&r)
}
