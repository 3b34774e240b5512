package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// rules changes rule sets. What is in nf_tables is changed over netlink, by
// handle and only if the rule set is still of the generation that was looked
// at; new iptables rules are written by the host's own iptables, which knows
// best how it wants to find them; legacy tables by iptables-legacy.
func (m *machine) rules(ctx context.Context, op fixups.Op, now *snap.Snapshot) error {
	ref := refOf(op)
	n := now.Ns(ref.ID)
	if n == nil {
		return fmt.Errorf("namespace %s: %w", ref.ID, snap.ErrNotFound)
	}
	if ref.System == snap.IPTablesLegacy {
		return m.legacy(ctx, op, now)
	}
	if o, ok := op.(*fixups.RuleInsert); ok {
		return m.ruleInsert(ctx, o, now, n)
	}
	b := &batch{generation: n.Ruleset.Generation}
	if err := b.add(op, now); err != nil {
		return err
	}
	return m.commit(ctx, ref.Where, b)
}

// xtTool is the host's iptables for a system: "" when there is none. Plain
// "iptables" may be either variant; it says which with --version.
func xtTool(ctx context.Context, sys snap.System, fam snap.Family) (string, error) {
	name := "iptables"
	if fam == snap.IPv6 {
		name = "ip6tables"
	}
	suffix, word := "-nft", "(nf_tables)"
	if sys == snap.IPTablesLegacy {
		suffix, word = "-legacy", "(legacy)"
	}
	if _, err := ns.Look(name + suffix); err == nil {
		return name + suffix, nil
	}
	if _, err := ns.Look(name); err != nil {
		return "", snap.Hint(fmt.Errorf("%s%s: %w", name, suffix, snap.ErrTool), "install iptables")
	}
	out, err := ns.Command(ctx, nil, name, "--version")
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", name, err)
	}
	old := word == "(legacy)" && !strings.Contains(string(out), "(") // before 1.8 there was only one
	if !strings.Contains(string(out), word) && !old {
		return "", fmt.Errorf("%s is not %s: %w", name, word, snap.ErrTool)
	}
	return name, nil
}

// lockSeconds is how long iptables waits for the xtables lock.
const lockSeconds = 5

// xt runs iptables inside the namespace.
func (m *machine) xt(ctx context.Context, ref fixups.ChainRef, args ...string) error {
	tool, err := xtTool(ctx, ref.System, ref.Family)
	if err != nil {
		return err
	}
	h, err := m.handle(ctx, ref.Where)
	if err != nil {
		return err
	}
	all := append([]string{"-w", strconv.Itoa(lockSeconds), "-t", ref.Table}, args...)
	_, err = ns.Tool{Name: tool, Args: all, Timeout: (lockSeconds + 5) * time.Second}.Run(ctx, h)
	return err
}

func (m *machine) ruleInsert(ctx context.Context, o *fixups.RuleInsert, now *snap.Snapshot, n *snap.Netns) error {
	if o.IPTables() {
		if _, err := o.Compile(); err != nil {
			return err // what is not understood is not handed on, either
		}
		verb := []string{"-A", o.Chain}
		if o.Position > 0 {
			verb = []string{"-I", o.Chain, strconv.Itoa(o.Position)}
		}
		err := m.xt(ctx, o.ChainRef, append(verb, o.Args...)...)
		if !errors.Is(err, snap.ErrTool) {
			return err
		}
	}
	b := &batch{generation: n.Ruleset.Generation}
	if err := b.insert(o, now); err != nil {
		return err
	}
	return m.commit(ctx, o.Where, b)
}

// canRule says whether the host has what the operation needs.
func (m *machine) canRule(op fixups.Op) error {
	ref := refOf(op)
	switch ref.System {
	case snap.IPTablesLegacy:
		_, err := xtTool(context.Background(), ref.System, ref.Family)
		return err
	case snap.EBTablesLegacy:
		return fmt.Errorf("writing ebtables-legacy: %w", snap.ErrUnsupported)
	case snap.NFT, snap.IPTablesNFT, snap.EBTablesNFT, snap.ARPTablesNFT:
	}
	if d, ok := op.(*fixups.RuleDelete); ok && d.Rule.Handle == 0 && d.System == snap.NFT && len(d.Rule.Raw) == 0 && len(d.Rule.Exprs) == 0 {
		return fmt.Errorf("a rule without a handle: %w", snap.ErrNotFound)
	}
	return nil
}

// legacy changes iptables-legacy by position, right after the position was
// looked at.
func (m *machine) legacy(ctx context.Context, op fixups.Op, now *snap.Snapshot) error {
	switch o := op.(type) {
	case *fixups.RuleInsert:
		if _, err := o.Compile(); err != nil {
			return err
		}
		if o.Position > 0 {
			return m.xt(ctx, o.ChainRef, append([]string{"-I", o.Chain, strconv.Itoa(o.Position)}, o.Args...)...)
		}
		return m.xt(ctx, o.ChainRef, append([]string{"-A", o.Chain}, o.Args...)...)
	case *fixups.RuleDelete:
		ch := chainOf(now, o.ChainRef)
		if ch == nil {
			return fmt.Errorf("chain %s: %w", o.ChainRef, snap.ErrNotFound)
		}
		at := fixups.FindRule(ch, &o.Rule)
		if at < 0 {
			return fmt.Errorf("rule %d of %s: %w", o.Rule.Num, o.ChainRef, snap.ErrNotFound)
		}
		return m.xt(ctx, o.ChainRef, "-D", o.Chain, strconv.Itoa(at+1))
	case *fixups.RuleRestore:
		if len(o.Args) == 0 {
			return fmt.Errorf("a legacy rule whose text was not kept: %w", snap.ErrUnsupported)
		}
		args := []string{"-I", o.Chain, strconv.Itoa(o.Num)}
		if o.Rule.Packets >= 0 {
			args = append(args, "-c", strconv.FormatInt(o.Rule.Packets, 10), strconv.FormatInt(o.Rule.Bytes, 10))
		}
		return m.xt(ctx, o.ChainRef, append(args, o.Args...)...)
	case *fixups.ChainPolicy:
		return m.xt(ctx, o.ChainRef, "-P", o.Chain, strings.ToUpper(o.Policy))
	case *fixups.ChainAdd:
		if o.Hook != "" {
			return fmt.Errorf("a base chain of iptables-legacy: %w", snap.ErrUnsupported)
		}
		return m.xt(ctx, o.ChainRef, "-N", o.Chain)
	case *fixups.ChainDel:
		return m.xt(ctx, o.ChainRef, "-X", o.Chain)
	}
	return fmt.Errorf("%s in iptables-legacy: %w", op.Kind(), snap.ErrUnsupported)
}

// withText adds the rule in iptables' arguments where they are not given:
// without them a legacy rule could not be put back. Arguments that this program
// does not read back into the very same rule are left out again.
func (m *machine) withText(o *fixups.RuleDelete, now *snap.Snapshot) fixups.Op {
	n := now.Ns(o.ID)
	if n == nil || len(o.Args) > 0 || !o.IPTables() {
		return o
	}
	t := n.Ruleset.Table(o.System, o.Family, o.Table)
	ch := chainOf(now, o.ChainRef)
	if t == nil || ch == nil {
		return o
	}
	i := fixups.FindRule(ch, &o.Rule)
	if i < 0 {
		return o
	}
	args, ok := splitArgs(firewall.RuleText(n, t, ch, &ch.Rules[i]))
	if len(args) >= 2 && args[0] == "-A" && args[1] == o.Chain {
		args = args[2:]
	}
	if !ok || slices.Contains(args, "?") {
		return o
	}
	c := *o
	c.Args = args
	return &c
}

// splitArgs takes a line of iptables-save apart: words at blanks, double quotes
// around words that hold blanks, backslashes before quotes inside.
func splitArgs(line string) (out []string, ok bool) {
	var cur strings.Builder
	quoted, escaped, any := false, false, false
	for _, r := range line {
		switch {
		case escaped:
			cur.WriteRune(r)
			escaped = false
		case r == '\\' && quoted:
			escaped = true
		case r == '"':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			if any {
				out = append(out, cur.String())
			}
			cur.Reset()
			any = false
		default:
			cur.WriteRune(r)
			any = true
		}
	}
	if any {
		out = append(out, cur.String())
	}
	return out, !quoted && !escaped
}
