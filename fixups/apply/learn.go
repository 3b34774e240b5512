package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hash is the fingerprint of an operation's object.
func hash(op fixups.Op, s *snap.Snapshot) (string, error) {
	b, err := fixups.ObjectOf(op, s)
	if err != nil {
		return "", fmt.Errorf("object of %s: %w", op.Kind(), err)
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:]), nil
}

// learn checks that a step did what it should, and puts into its undo what only
// the kernel could tell: the handle of a new rule.
func learn(st *step, op fixups.Op, before, after *snap.Snapshot) error {
	var at int
	var ref fixups.ChainRef
	switch o := op.(type) {
	case *fixups.RuleInsert:
		ref, at = o.ChainRef, o.Position
	case *fixups.RuleRestore:
		ref, at = o.ChainRef, o.Num
	default:
		if !fixups.Holds(op, after) {
			return fmt.Errorf("the change is not seen in the kernel: %w", snap.ErrTorn)
		}
		return nil
	}
	r, err := newRule(ref, at, before, after)
	if err != nil {
		return err
	}
	for i, u := range st.Undo {
		if d, ok := u.(*fixups.RuleDelete); ok && d.ChainRef == ref {
			c := *d
			c.Rule = *r
			st.Undo[i] = &c
		}
	}
	return nil
}

// chainOf is a chain in a snapshot, nil when it is not there.
func chainOf(s *snap.Snapshot, ref fixups.ChainRef) *snap.Chain {
	ns := s.Ns(ref.ID)
	if ns == nil {
		return nil
	}
	t := ns.Ruleset.Table(ref.System, ref.Family, ref.Table)
	if t == nil {
		return nil
	}
	return t.Chain(ref.Chain)
}

// newRule finds the rule that a chain has more than before, at position at
// (from 1; 0: the last). Anything else that changed is an error.
func newRule(ref fixups.ChainRef, at int, before, after *snap.Snapshot) (*snap.Rule, error) {
	now := chainOf(after, ref)
	if now == nil {
		return nil, fmt.Errorf("chain %s is not there: %w", ref, snap.ErrVanished)
	}
	var old []snap.Rule
	if was := chainOf(before, ref); was != nil {
		old = was.Rules
	}
	if at == 0 {
		at = len(old) + 1
	}
	if len(now.Rules) != len(old)+1 || at > len(now.Rules) {
		return nil, fmt.Errorf("chain %s has %d rules, %d were expected: %w", ref, len(now.Rules), len(old)+1, snap.ErrTorn)
	}
	rest := slices.Delete(slices.Clone(now.Rules), at-1, at)
	for i := range rest {
		if rest[i].Handle != old[i].Handle || fixups.Print(&rest[i]) != fixups.Print(&old[i]) {
			return nil, fmt.Errorf("chain %s: rule %d is another one than before: %w", ref, i+1, snap.ErrTorn)
		}
	}
	r := now.Rules[at-1]
	return &r, nil
}
