package shell

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nft reads nft(8): rules added, inserted and deleted, and a chain's policy.
// The command may stand in one quoted word, as the shell wants it.
func (r *reader) nft() (fixups.Op, error) {
	if r.i == len(r.words)-1 {
		r.words, r.i = strings.Fields(r.words[r.i]), 0
	}
	verb, err := r.next("the command")
	if err != nil {
		return nil, err
	}
	if verb == "chain" {
		return r.nftChain()
	}
	if verb != "add" && verb != "insert" && verb != "delete" || !r.take("rule") {
		return nil, fmt.Errorf("of nft, add, insert and delete rule are read here: %w", snap.ErrUnsupported)
	}
	c, err := r.nftRef()
	if err != nil {
		return nil, err
	}
	ch, err := r.chain(c)
	if err != nil {
		return nil, err
	}
	at, err := r.nftPlace(ch)
	if err != nil {
		return nil, err
	}
	if verb == "delete" {
		if at < 0 {
			return nil, fmt.Errorf("nft delete rule needs a handle")
		}
		return &fixups.RuleDelete{ChainRef: c, Rule: ch.Rules[at]}, nil
	}
	op := &fixups.RuleInsert{ChainRef: c, Text: strings.Join(r.rest(), " ")}
	switch { // a rule is added behind the one that is named, and inserted before it
	case verb == "insert":
		op.Position = max(at, 0) + 1
	case at >= 0 && at < len(ch.Rules)-1:
		op.Position = at + 2
	}
	if _, err := op.Compile(); err != nil {
		return nil, err
	}
	return op, nil
}

// nftRef reads family, table and chain.
func (r *reader) nftRef() (fixups.ChainRef, error) {
	c := fixups.ChainRef{Where: r.where(), System: snap.NFT, Family: snap.IPv4}
	words := map[string]snap.Family{"ip": snap.IPv4, "ip6": snap.IPv6, "inet": snap.Inet, "arp": snap.ARP, "bridge": snap.BridgeFamily, "netdev": snap.Netdev}
	w, err := r.next("the table")
	if fam, ok := words[w]; ok && err == nil {
		c.Family = fam
		w, err = r.next("the table")
	}
	if err != nil {
		return c, err
	}
	c.Table = w
	if c.Chain, err = r.next("the chain"); err != nil {
		return c, err
	}
	if r.ns.Ruleset.Table(snap.NFT, c.Family, c.Table) == nil && r.ns.Ruleset.Table(snap.IPTablesNFT, c.Family, c.Table) != nil {
		return c, fmt.Errorf("the table %s is iptables' own; say it by iptables: %w", c.Table, snap.ErrUnsupported)
	}
	return c, nil
}

// nftPlace reads "handle N", "position N" or "index N": the rule's index, -1
// when none is named.
func (r *reader) nftPlace(ch *snap.Chain) (int, error) {
	if r.take("index") {
		n, err := r.number("index", 31)
		if err == nil && int(n) >= len(ch.Rules) {
			err = snap.NotFoundf("chain %s has no rule with the index %d", ch.Name, n)
		}
		return int(n), err
	}
	if !r.take("handle", "position") {
		return -1, nil
	}
	n, err := r.number("handle", 64)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(ch.Rules, func(x snap.Rule) bool { return x.Handle == n })
	if i < 0 {
		return 0, snap.NotFoundf("chain %s has no rule with the handle %d", ch.Name, n)
	}
	return i, nil
}

// nftChain reads a chain's new policy: "{ policy drop ; }".
func (r *reader) nftChain() (fixups.Op, error) {
	c, err := r.nftRef()
	if err != nil {
		return nil, err
	}
	if _, err := r.chain(c); err != nil {
		return nil, err
	}
	body := strings.Fields(strings.NewReplacer("{", " ", "}", " ", ";", " ").Replace(strings.Join(r.rest(), " ")))
	if len(body) != 2 || body[0] != "policy" || body[1] != "accept" && body[1] != "drop" {
		return nil, fmt.Errorf("of nft chain, { policy accept ; } and { policy drop ; } are read here: %w", snap.ErrUnsupported)
	}
	return &fixups.ChainPolicy{ChainRef: c, Policy: body[1]}, nil
}
