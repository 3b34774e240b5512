package firewall

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// RuleMessage is a rule and where it is.
type RuleMessage struct {
	Table, Chain string
	Rule         snap.Rule // without Num: the reader counts
}

// DecodeRule decodes the attributes of an NFT_MSG_NEWRULE. table and chain are
// used for Table and Chain where they are equal, so that a dump of one chain
// does not make one string a rule.
func DecodeRule(table, chain string, b []byte) (RuleMessage, error) {
	a := littleAttrs()
	if !a.parse(b, 11) {
		return RuleMessage{}, fmt.Errorf("nf_tables rule: %w", errMalformed)
	}
	r := values{attrs: &a}
	m := RuleMessage{Table: same(table, a.v[1]), Chain: same(chain, a.v[2])}
	m.Rule = snap.Rule{Handle: r.u64(3), Packets: -1, Bytes: -1, Raw: a.v[4], UserData: a.v[7]}
	if r.bad || m.Table == "" || m.Chain == "" {
		return m, fmt.Errorf("nf_tables rule in %q: %w", m.Chain, errMalformed)
	}
	var err error
	if m.Rule.Exprs, err = decodeExprs(a.v[4]); err != nil {
		return m, fmt.Errorf("nf_tables rule %d in %s: %w", m.Rule.Handle, m.Chain, err)
	}
	if a.has(5) {
		n := littleAttrs()
		if !n.parse(a.v[5], 2) {
			return m, fmt.Errorf("nf_tables rule %d in %s: %w", m.Rule.Handle, m.Chain, errMalformed)
		}
		in := values{attrs: &n}
		m.Rule.Compat = &[2]uint32{in.u32(1), in.u32(2)}
		if in.bad {
			return m, fmt.Errorf("nf_tables rule %d in %s: %w", m.Rule.Handle, m.Chain, errMalformed)
		}
	}
	annotate(&m.Rule)
	m.Rule.Comment = comment(&m.Rule)
	return m, nil
}

// same is s when b holds the same characters, else a new string.
func same(s string, b []byte) string {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	if string(b) == s {
		return s
	}
	return string(b)
}

// annotate fills a rule's counters from its first counter expression.
func annotate(r *snap.Rule) {
	for _, e := range r.Exprs {
		if c, ok := e.(*snap.Counter); ok {
			r.Packets, r.Bytes = int64(c.Packets), int64(c.Bytes)
			return
		}
	}
}

// Types of NFTA_RULE_USERDATA records (libnftnl: include/udata.h).
const udataRuleComment = 0

// comment is a rule's comment: of its user data, else of xt comment matches.
func comment(r *snap.Rule) string {
	if c, ok := udata(r.UserData, udataRuleComment); ok {
		return cstring(c)
	}
	for _, e := range r.Exprs {
		if x, ok := e.(*snap.Xt); ok && !x.Target && x.Name == "comment" {
			return cstring(x.Info)
		}
	}
	return ""
}

// udata finds a record of user data: one byte of type, one of length, the
// value. It is not the kernel's: whatever does not fit ends the search.
func udata(b []byte, typ uint8) ([]byte, bool) {
	for len(b) >= 2 {
		n := 2 + int(b[1])
		if n > len(b) {
			return nil, false
		}
		if b[0] == typ {
			return b[2:n], true
		}
		b = b[n:]
	}
	return nil, false
}
