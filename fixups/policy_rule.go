package fixups

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// PolicyRuleAdd adds a rule to the routing policy (ip-rule(8)).
type PolicyRuleAdd struct {
	Where
	Rule snap.PolicyRule `json:"rule"`
}

// PolicyRuleDel deletes exactly that rule.
type PolicyRuleDel struct {
	Where
	Rule snap.PolicyRule `json:"rule"`
}

func (*PolicyRuleAdd) Kind() string { return "policy-rule-add" }
func (*PolicyRuleDel) Kind() string { return "policy-rule-del" }

func (o *PolicyRuleAdd) Describe() string {
	return "add routing rule " + strings.Join(policyWords(o.Rule), " ") + o.in()
}

func (o *PolicyRuleDel) Describe() string {
	return "delete routing rule " + strings.Join(policyWords(o.Rule), " ") + o.in()
}

func (o *PolicyRuleAdd) Shell() []string { return []string{policyLine(o.Where, "add", o.Rule)} }
func (o *PolicyRuleDel) Shell() []string { return []string{policyLine(o.Where, "del", o.Rule)} }

func policyLine(w Where, verb string, r snap.PolicyRule) string {
	args := []string{"ip"}
	if r.Family == snap.IPv6 {
		args = append(args, "-6")
	}
	return w.line(append(append(args, "rule", verb), policyWords(r)...)...)
}

// policyWords says a rule in ip-rule(8)'s words.
func policyWords(r snap.PolicyRule) []string {
	var out []string
	add := func(w ...string) { out = append(out, w...) }
	if r.Invert {
		add("not")
	}
	add("from")
	if r.Src.IsValid() {
		add(r.Src.String())
	} else {
		add("all")
	}
	if r.Dst.IsValid() {
		add("to", r.Dst.String())
	}
	if r.TOS != 0 {
		add("tos", fmt.Sprintf("0x%02x", r.TOS))
	}
	if r.Mask == 0xffffffff {
		add("fwmark", fmt.Sprintf("%#x", r.Mark))
	} else if r.Mask != 0 {
		add("fwmark", fmt.Sprintf("%#x/%#x", r.Mark, r.Mask))
	}
	if r.IIF != "" {
		add("iif", r.IIF)
	}
	if r.OIF != "" {
		add("oif", r.OIF)
	}
	if r.IPProto != 0 {
		add("ipproto", strconv.Itoa(int(r.IPProto)))
	}
	if r.Sport != [2]uint16{} {
		add("sport", portWords(r.Sport))
	}
	if r.Dport != [2]uint16{} {
		add("dport", portWords(r.Dport))
	}
	if r.UID != nil {
		add("uidrange", fmt.Sprintf("%d-%d", r.UID[0], r.UID[1]))
	}
	if r.L3mdev {
		add("l3mdev")
	}
	add("priority", strconv.FormatUint(uint64(r.Priority), 10))
	switch {
	case r.Action == "goto":
		add("goto", strconv.FormatUint(uint64(r.Goto), 10))
	case r.Action == "table" && r.Table == snap.TableMain:
		add("lookup", "main")
	case r.Action == "table" && !r.L3mdev:
		add("lookup", tableWord(r.Table))
	case r.Action != "table":
		add(r.Action)
	}
	if r.SuppressPrefixLen >= 0 {
		add("suppress_prefixlength", strconv.Itoa(r.SuppressPrefixLen))
	}
	if r.SuppressIfgroup >= 0 {
		add("suppress_ifgroup", strconv.Itoa(r.SuppressIfgroup))
	}
	return out
}

func portWords(p [2]uint16) string {
	if p[0] == p[1] || p[1] == 0 {
		return strconv.Itoa(int(p[0]))
	}
	return fmt.Sprintf("%d-%d", p[0], p[1])
}

func findPolicy(s *snap.Snapshot, w Where, r snap.PolicyRule) (*snap.Netns, int, error) {
	ns, err := w.find(s)
	if err != nil {
		return nil, -1, err
	}
	return ns, slices.IndexFunc(ns.Rules, func(x snap.PolicyRule) bool { return reflect.DeepEqual(x, r) }), nil
}

// On puts the rule behind those of its priority (net/core/fib_rules.c:
// fib_nl_newrule).
func (o *PolicyRuleAdd) On(s *snap.Snapshot) error {
	ns, i, err := findPolicy(s, o.Where, o.Rule)
	if err != nil {
		return err
	}
	if i >= 0 {
		return fmt.Errorf("%s has that rule already", o.ID)
	}
	at := len(ns.Rules)
	for i, x := range ns.Rules {
		if x.Family == o.Rule.Family && x.Priority > o.Rule.Priority {
			at = i
			break
		}
	}
	ns.Rules = slices.Insert(ns.Rules, at, o.Rule)
	return nil
}

func (o *PolicyRuleDel) On(s *snap.Snapshot) error {
	ns, i, err := findPolicy(s, o.Where, o.Rule)
	if err != nil {
		return err
	}
	if i < 0 {
		return snap.NotFoundf("%s has no such rule", o.ID)
	}
	ns.Rules = slices.Delete(ns.Rules, i, i+1)
	return nil
}

func (o *PolicyRuleAdd) Inverse(s *snap.Snapshot) (Op, error) {
	_, i, err := findPolicy(s, o.Where, o.Rule)
	if err != nil || i >= 0 {
		return nil, err
	}
	return &PolicyRuleDel{Where: o.Where, Rule: o.Rule}, nil
}

func (o *PolicyRuleDel) Inverse(s *snap.Snapshot) (Op, error) {
	_, i, err := findPolicy(s, o.Where, o.Rule)
	if err != nil || i < 0 {
		return nil, err
	}
	return &PolicyRuleAdd{Where: o.Where, Rule: o.Rule}, nil
}

func (o *PolicyRuleAdd) Risk() Risk { return RiskMedium }
func (o *PolicyRuleDel) Risk() Risk { return RiskMedium }

func (o *PolicyRuleAdd) Object(s *snap.Snapshot) any { return policyObject(s, o.Where, o.Rule) }
func (o *PolicyRuleDel) Object(s *snap.Snapshot) any { return policyObject(s, o.Where, o.Rule) }

// policyObject are the rules of that priority.
func policyObject(s *snap.Snapshot, w Where, r snap.PolicyRule) any {
	ns, err := w.find(s)
	if err != nil {
		return nil
	}
	var out []snap.PolicyRule
	for _, x := range ns.Rules {
		if x.Family == r.Family && x.Priority == r.Priority {
			out = append(out, x)
		}
	}
	return out
}

func (o *PolicyRuleAdd) Holds(s *snap.Snapshot) bool {
	_, i, err := findPolicy(s, o.Where, o.Rule)
	return err == nil && i >= 0
}

func (o *PolicyRuleDel) Holds(s *snap.Snapshot) bool {
	_, i, err := findPolicy(s, o.Where, o.Rule)
	return err == nil && i < 0
}
