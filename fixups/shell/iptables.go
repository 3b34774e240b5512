package shell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// iptables reads iptables(8) and its kin: one command on one chain.
func (r *reader) iptables(tool string) (fixups.Op, error) {
	c := fixups.ChainRef{Where: r.where(), Family: snap.IPv4, Table: "filter"}
	if strings.HasPrefix(tool, "ip6") {
		c.Family = snap.IPv6
	}
	var verb string
	var args []string
	for r.more() {
		switch w, _ := r.next(""); w {
		case "-w", "--wait":
			if r.more() && isNumber(r.words[r.i]) {
				r.i++
			}
		case "-t", "--table":
			var err error
			if c.Table, err = r.next("the table"); err != nil {
				return nil, err
			}
		case "-A", "--append", "-I", "--insert", "-D", "--delete", "-P", "--policy", "-N", "--new-chain", "-X", "--delete-chain", "-F", "--flush":
			if verb != "" {
				return nil, fmt.Errorf("%s besides %s", w, verb)
			}
			verb = short(w)
			chain, err := r.next("the chain")
			if err != nil {
				return nil, err
			}
			c.Chain = chain
		case "-n", "-v", "--verbose":
		default:
			args = append(args, w)
		}
	}
	c.System = r.system(tool, &c)
	return r.onChain(c, verb, args)
}

func short(w string) string {
	long := map[string]string{
		"--append": "-A", "--insert": "-I", "--delete": "-D", "--policy": "-P", "--new-chain": "-N", "--delete-chain": "-X", "--flush": "-F",
	}
	if s, ok := long[w]; ok {
		return s
	}
	return w
}

func isNumber(w string) bool {
	_, err := strconv.ParseUint(w, 10, 32)
	return err == nil
}

// system is the back end that a program writes to. Which one plain "iptables"
// is, is up to the host: it is taken to be the one that has this table, and
// nf_tables where both have or none.
func (r *reader) system(tool string, c *fixups.ChainRef) snap.System {
	rs := &r.ns.Ruleset
	switch {
	case strings.HasSuffix(tool, "-legacy"):
		return snap.IPTablesLegacy
	case strings.HasSuffix(tool, "-nft"):
		return snap.IPTablesNFT
	case rs.Table(snap.IPTablesNFT, c.Family, c.Table) == nil && rs.Table(snap.IPTablesLegacy, c.Family, c.Table) != nil:
		return snap.IPTablesLegacy
	}
	return snap.IPTablesNFT
}

// onChain is the change of a chain.
func (r *reader) onChain(c fixups.ChainRef, verb string, args []string) (fixups.Op, error) {
	pos := 0
	if len(args) > 0 && isNumber(args[0]) && (verb == "-I" || verb == "-D") {
		pos, _ = strconv.Atoi(args[0])
		args = args[1:]
	}
	if verb != "-A" && verb != "-I" && verb != "-D" && verb != "-P" && len(args) > 0 {
		return nil, fmt.Errorf("%q behind %s: %w", args[0], verb, snap.ErrUnsupported)
	}
	switch verb {
	case "-A", "-I":
		if verb == "-I" && pos == 0 {
			pos = 1
		}
		op := &fixups.RuleInsert{ChainRef: c, Position: pos, Args: args}
		if _, err := op.Compile(); err != nil {
			return nil, err
		}
		return op, nil
	case "-D":
		return r.deleteRule(c, pos, args)
	case "-P":
		if len(args) != 1 || args[0] != "ACCEPT" && args[0] != "DROP" {
			return nil, fmt.Errorf("a policy is ACCEPT or DROP")
		}
		return &fixups.ChainPolicy{ChainRef: c, Policy: strings.ToLower(args[0])}, nil
	case "-N":
		return &fixups.ChainAdd{ChainRef: c}, nil
	case "-X":
		return &fixups.ChainDel{ChainRef: c}, nil
	case "-F":
		ch, err := r.chain(c)
		if err != nil {
			return nil, err
		}
		var ops fixups.Ops
		for _, rule := range slices.Backward(ch.Rules) {
			ops = append(ops, &fixups.RuleDelete{ChainRef: c, Rule: rule})
		}
		return one(ops)
	}
	return nil, fmt.Errorf("no command of iptables that is read here: %w", snap.ErrUnsupported)
}

// chain finds a chain in the snapshot.
func (r *reader) chain(c fixups.ChainRef) (*snap.Chain, error) {
	if t := r.ns.Ruleset.Table(c.System, c.Family, c.Table); t != nil {
		if ch := t.Chain(c.Chain); ch != nil {
			return ch, nil
		}
	}
	return nil, snap.NotFoundf("no chain %s in %s", c, r.ns.ID)
}

// deleteRule finds the rule to delete: by its number, or as the first that does
// what the arguments say.
func (r *reader) deleteRule(c fixups.ChainRef, num int, args []string) (fixups.Op, error) {
	ch, err := r.chain(c)
	if err != nil {
		return nil, err
	}
	if num != 0 {
		if num > len(ch.Rules) || len(args) > 0 {
			return nil, snap.NotFoundf("%s has no rule %d", c, num)
		}
		return &fixups.RuleDelete{ChainRef: c, Rule: ch.Rules[num-1]}, nil
	}
	want, err := (&fixups.RuleInsert{ChainRef: c, Args: args}).Compile()
	if err != nil {
		return nil, err
	}
	for i := range ch.Rules {
		if fixups.Print(&ch.Rules[i]) == fixups.Print(&want) {
			return &fixups.RuleDelete{ChainRef: c, Rule: ch.Rules[i], Args: args}, nil
		}
	}
	return nil, snap.NotFoundf("%s has no rule %s", c, strings.Join(args, " "))
}
