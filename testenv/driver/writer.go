package driver

import (
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// prefix is what stands for Docker's "DOCKER" in names of chains. The longest
// of them, NETDOCTOR-ISOLATION-STAGE-1, has 27 of the 28 characters that
// iptables allows.
const prefix = "NETDOCTOR"

// ipt writes iptables' rules of one family into a list.
type ipt struct {
	env *Env
	at  fixups.Where
	v6  bool
	ops []fixups.Op
}

func (w *ipt) ref(table, chain string) fixups.ChainRef {
	fam := snap.IPv4
	if w.v6 {
		fam = snap.IPv6
	}
	return fixups.ChainRef{Where: w.at, System: w.env.system(), Family: fam, Table: table, Chain: chain}
}

// base makes a chain of iptables' own, and its table, where they are not there.
func (w *ipt) base(table, chain string) {
	hooks := map[string]struct {
		hook, typ string
		prio      int32
	}{
		"filter FORWARD": {"forward", "filter", 0}, "nat PREROUTING": {"prerouting", "nat", -100}, "nat OUTPUT": {"output", "nat", -100},
		"nat POSTROUTING": {"postrouting", "nat", 100}, "raw PREROUTING": {"prerouting", "filter", -300},
	}
	h := hooks[table+" "+chain]
	if w.env.system() == snap.IPTablesLegacy {
		return // they come with their module
	}
	w.ops = append(w.ops,
		&fixups.TableAdd{ChainRef: w.ref(table, "")},
		&fixups.ChainAdd{ChainRef: w.ref(table, chain), Hook: h.hook, Type: h.typ, Priority: h.prio, Policy: "accept"})
}

// chain makes a chain of our own.
func (w *ipt) chain(table, name string) {
	w.ops = append(w.ops, &fixups.ChainAdd{ChainRef: w.ref(table, name)})
}

// rule adds a rule at a position, 0 for the end. In chains that are not ours it
// carries the owner mark.
func (w *ipt) rule(table, chain string, pos int, match, target string) {
	args := strings.Fields(match)
	if !strings.HasPrefix(chain, prefix) && !strings.HasPrefix(target, prefix) {
		args = append(args, "-m", "comment", "--comment", w.env.Mark())
	}
	args = append(append(args, "-j"), strings.Fields(target)...)
	w.ops = append(w.ops, &fixups.RuleInsert{ChainRef: w.ref(table, chain), Position: pos, Args: args})
}

func (w *ipt) add(table, chain, match, target string)    { w.rule(table, chain, 0, match, target) }
func (w *ipt) insert(table, chain, match, target string) { w.rule(table, chain, 1, match, target) }

// full is an address as iptables-save writes it.
func full(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// nft writes rules of nftables of one family into a list.
type nft struct {
	at    fixups.Where
	table string
	v6    bool
	ops   []fixups.Op
}

func (w *nft) ref(chain string) fixups.ChainRef {
	fam := snap.IPv4
	if w.v6 {
		fam = snap.IPv6
	}
	return fixups.ChainRef{Where: w.at, System: snap.NFT, Family: fam, Table: w.table, Chain: chain}
}

func (w *nft) base(chain, hook, typ string, prio int32) {
	w.ops = append(w.ops, &fixups.ChainAdd{ChainRef: w.ref(chain), Hook: hook, Type: typ, Priority: prio, Policy: "accept"})
}

func (w *nft) chain(name string) {
	w.ops = append(w.ops, &fixups.ChainAdd{ChainRef: w.ref(name)})
}

func (w *nft) rule(chain string, pos int, text string) {
	w.ops = append(w.ops, &fixups.RuleInsert{ChainRef: w.ref(chain), Position: pos, Text: text})
}

func (w *nft) add(chain string, words ...string) {
	w.rule(chain, 0, strings.Join(strings.Fields(strings.Join(words, " ")), " "))
}

// ip is the word for a family's header.
func (w *nft) ip() string {
	if w.v6 {
		return "ip6"
	}
	return "ip"
}
