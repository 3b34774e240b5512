package fixups

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ChainRef is a chain, and so the place of a rule.
type ChainRef struct {
	Where
	System snap.System `json:"system"`
	Family snap.Family `json:"family"`
	Table  string      `json:"table"`
	Chain  string      `json:"chain,omitempty"`
}

// ChainAt names a chain of a table of a snapshot.
func ChainAt(s *snap.Snapshot, netns string, t *snap.Table, chain string) ChainRef {
	return ChainRef{Where: At(s, netns), System: t.System, Family: t.Family, Table: t.Name, Chain: chain}
}

// IPTables says whether the chain is written with iptables' arguments.
func (c ChainRef) IPTables() bool {
	return c.System == snap.IPTablesNFT || c.System == snap.IPTablesLegacy
}

// foreign says whether the chain is of a tool of the iptables kind whose
// arguments this package does not write: ebtables and arptables.
func (c ChainRef) foreign() bool {
	return c.System == snap.EBTablesNFT || c.System == snap.EBTablesLegacy || c.System == snap.ARPTablesNFT
}

// tool is the program that a person uses for the chain. "iptables" is the nft
// variant wherever the two live side by side since 2018; the legacy one is
// named in full.
func (c ChainRef) tool() string {
	name := "iptables"
	if c.Family == snap.IPv6 {
		name = "ip6tables"
	}
	switch c.System {
	case snap.IPTablesLegacy:
		return name + "-legacy"
	case snap.EBTablesNFT:
		return "ebtables"
	case snap.EBTablesLegacy:
		return "ebtables-legacy"
	case snap.ARPTablesNFT:
		return "arptables"
	case snap.IPTablesNFT, snap.NFT:
	}
	return name
}

// xtLine is a line of iptables or a tool of its kind; the filter table is the
// one that it takes when none is named.
func (c ChainRef) xtLine(args ...string) string {
	all := []string{c.tool()}
	if c.Table != "filter" {
		all = append(all, "-t", c.Table)
	}
	return c.line(append(all, args...)...)
}

// place is the chain in nft(8)'s words.
func (c ChainRef) place() []string {
	out := []string{c.Family.NFT(), c.Table}
	if c.Chain != "" {
		out = append(out, c.Chain)
	}
	return out
}

// String names the chain for people.
func (c ChainRef) String() string {
	if c.System == snap.NFT {
		return strings.Join(c.place(), " ")
	}
	return c.Table + "/" + c.Chain
}

// table finds the table; nil without an error when it is not there.
func (c ChainRef) table(s *snap.Snapshot) (*snap.Netns, *snap.Table, error) {
	ns, err := c.find(s)
	if err != nil {
		return nil, nil, err
	}
	if t := ns.Ruleset.Table(c.System, c.Family, c.Table); t != nil || c.System == snap.IPTablesLegacy {
		return ns, t, nil
	}
	// A table of nf_tables without chains does not tell which program made it.
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		if t.System != snap.IPTablesLegacy && t.Family == c.Family && t.Name == c.Table && len(t.Chains) == 0 {
			return ns, t, nil
		}
	}
	return ns, nil, nil
}

// mustTable is the table, and an error when there is none.
func (c ChainRef) mustTable(s *snap.Snapshot) (*snap.Netns, *snap.Table, error) {
	ns, t, err := c.table(s)
	if err == nil && t == nil {
		err = snap.NotFoundf("no table %s in %s", c.Table, c.ID)
	}
	return ns, t, err
}

// chain finds the chain; nil without an error when it is not there.
func (c ChainRef) chain(s *snap.Snapshot) (*snap.Table, *snap.Chain, error) {
	_, t, err := c.table(s)
	if err != nil || t == nil {
		return nil, nil, err
	}
	ch := t.Chain(c.Chain)
	if ch != nil && ch.Unread != "" {
		return t, nil, fmt.Errorf("rules of %s in %s: %s: %w", c, c.ID, ch.Unread, snap.ErrPermission)
	}
	return t, ch, nil
}

// must is chain with an error when it is not there.
func (c ChainRef) must(s *snap.Snapshot) (*snap.Table, *snap.Chain, error) {
	t, ch, err := c.chain(s)
	if err == nil && ch == nil {
		err = snap.NotFoundf("no chain %s in %s", c, c.ID)
	}
	return t, ch, err
}

// Print is the fingerprint of a rule: what it does, without what it counted.
func Print(r *snap.Rule) string {
	list := make(snap.Exprs, 0, len(r.Exprs))
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Counter:
			list = append(list, &snap.Counter{})
		case *snap.Quota:
			q := *x
			q.Used = 0
			list = append(list, &q)
		case *snap.Nat:
			list = append(list, plainNat(x))
		case *snap.Unknown:
			if x.Name == "last" { // when it was used last
				list = append(list, &snap.Unknown{Name: x.Name})
				continue
			}
			list = append(list, e)
		default:
			list = append(list, e)
		}
	}
	b, err := json.Marshal(struct {
		E snap.Exprs
		C string
	}{list, r.Comment})
	if err != nil {
		return "?" + r.Comment
	}
	return string(b)
}

// plainNat is a NAT without what the kernel adds by itself: the upper end of a
// range that is one, and the flags that say what is given
// (net/netfilter/nft_nat.c: nft_nat_init, nft_nat_dump).
func plainNat(x *snap.Nat) *snap.Nat {
	n := *x
	if n.AddrMax == n.AddrMin {
		n.AddrMax = snap.NoReg
	}
	if n.ProtoMax == n.ProtoMin {
		n.ProtoMax = snap.NoReg
	}
	n.Flags = snap.Without(slices.Clone(x.Flags), func(f string) bool { return f == "map-ips" || f == "proto-specified" })
	if len(n.Flags) == 0 {
		n.Flags = nil
	}
	return &n
}

// Prints is the fingerprint of a chain's rules in order; "" for no chain.
func Prints(c *snap.Chain) string {
	if c == nil {
		return ""
	}
	h := sha256.New()
	for i := range c.Rules {
		fmt.Fprintf(h, "%s\n", Print(&c.Rules[i])) //nolint:errcheck // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// object is a chain for Checked: its rules, policy and hook.
func (c ChainRef) object(s *snap.Snapshot) any {
	_, ch, err := c.chain(s)
	if err != nil || ch == nil {
		return nil
	}
	return []any{Prints(ch), ch.Policy, ch.Hook}
}

// insert puts a rule at index i of a chain.
func insert(ch *snap.Chain, i int, r snap.Rule) {
	ch.Rules = slices.Insert(ch.Rules, i, r)
	renumber(ch)
}

func renumber(ch *snap.Chain) {
	for i := range ch.Rules {
		ch.Rules[i].Num = i + 1
	}
}

// builtinHook is hook, type and priority of iptables' own chains
// (include/uapi/linux/netfilter_ipv4.h).
func builtinHook(table, chain string) (hook, typ string, prio int32, ok bool) {
	hook = strings.ToLower(chain)
	typ = "filter"
	switch hook {
	case "prerouting", "input", "forward", "output", "postrouting":
	default:
		return "", "", 0, false
	}
	has := map[string][]string{
		"filter": {"input", "forward", "output"}, "security": {"input", "forward", "output"}, "raw": {"prerouting", "output"},
		"mangle": {"prerouting", "input", "forward", "output", "postrouting"}, "nat": {"prerouting", "input", "output", "postrouting"},
	}
	if chain != strings.ToUpper(chain) || !slices.Contains(has[table], hook) {
		return "", "", 0, false
	}
	switch table {
	case "raw":
		prio = -300
	case "mangle":
		prio = -150
		if hook == "output" {
			typ = "route"
		}
	case "nat":
		typ, prio = "nat", -100
		if hook == "postrouting" || hook == "input" {
			prio = 100
		}
	case "security":
		prio = 50
	}
	return hook, typ, prio, true
}
