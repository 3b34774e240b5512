package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ownTable is the nftables table that fixes make where no other would do.
const ownTable = "netdoctor_nat"

// cniMasquerade is the table that CNI's plugins only add to (plugins
// pkg/ip/ipmasq_nftables_linux.go).
const cniMasquerade = "cni_plugins_masquerade"

// fixND3204 masquerades the subnet behind its bridge: in the table that does
// such things on this host, whoever's language it is written in.
func fixND3204(in *diag.Input, f *diag.Finding) []fixups.Op {
	host := in.Snap.HostNs()
	if len(f.Covers.Traces) == 0 {
		return nil
	}
	if f.Subject.Kind == "address" {
		return masqueradeBack(in, f)
	}
	src := in.Flows[f.Covers.Traces[0]].Trace.ExitSrc.Addr()
	if ops := cniJumps(in, host, f.Covers.Traces); ops != nil {
		return ops
	}
	if ops := poolOps(in, f, onLink(in, src) != ""); ops != nil {
		return ops
	}
	for _, a := range host.Addrs {
		l := host.LinkAt(a.Index)
		if l == nil || !a.Prefix.Contains(src) {
			continue
		}
		return masquerade(in.Snap, host, a.Prefix.Masked(), l.Name)
	}
	f.Advice = fmt.Sprintf("masquerade the subnet of %s where it leaves this host, or give the router outside a route back to it", src)
	return nil
}

// cniJumps leads containers again to the chains that CNI made for each of them, which
// masquerade what goes further than their network (plugins pkg/ip/ipmasq_iptables_linux.go);
// nil where one of these sources has no such chain left.
func cniJumps(in *diag.Input, host *snap.Netns, traces []int) []fixups.Op {
	src := in.Flows[traces[0]].Trace.ExitSrc.Addr()
	t, post := natPostrouting(host, snap.FamilyOf(src))
	if t == nil {
		return nil
	}
	jumps := jumpsOf(host, t)
	var ops []fixups.Op
	seen := map[netip.Addr]bool{}
	for _, i := range traces {
		src := in.Flows[i].Trace.ExitSrc.Addr()
		if seen[src] {
			continue
		}
		seen[src] = true
		ends := in.Graph.Owners(src)
		if len(ends) != 1 {
			return nil
		}
		c := in.Snap.Container(ownerOf(ends[0].Netns))
		at := slices.IndexFunc(t.Chains, func(x snap.Chain) bool {
			return c != nil && c.ID != "" && strings.HasPrefix(x.Name, "CNI-") && len(jumps[x.Name]) == 0 && len(x.Rules) > 0 && strings.Contains(x.Rules[0].Comment, c.ID) &&
				strings.HasSuffix(firewall.RuleText(host, t, &x, &x.Rules[len(x.Rules)-1]), "-j MASQUERADE")
		})
		if at < 0 {
			return nil
		}
		left := &t.Chains[at]
		args := []string{"-s", netip.PrefixFrom(src, src.BitLen()).String(), "-m", "comment", "--comment", left.Rules[0].Comment, "-j", left.Name}
		ops = append(ops, &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, host.ID, t, post.Name), Args: args})
	}
	return ops
}

// masquerade adds the rule, with the table and the chain for it if need be.
func masquerade(s *snap.Snapshot, host *snap.Netns, subnet netip.Prefix, bridge string) []fixups.Op {
	fam := snap.FamilyOf(subnet.Addr())
	if t, c := natPostrouting(host, fam); t != nil {
		args := []string{"-s", subnet.String(), "!", "-o", bridge, "-j", "MASQUERADE"}
		return []fixups.Op{&fixups.RuleInsert{ChainRef: fixups.ChainAt(s, host.ID, t, c.Name), Args: args}}
	}
	text := fmt.Sprintf(fam.NFT()+" saddr %s oifname != %q masquerade", subnet, bridge)
	for i := range host.Ruleset.Tables {
		t := &host.Ruleset.Tables[i]
		if t.System != snap.NFT || t.Family != fam && t.Family != snap.Inet || diag.TableOwner(t.Name) != "" && t.Name != cniMasquerade {
			continue // its owner may write it anew
		}
		for j := range t.Chains {
			if c := &t.Chains[j]; c.Type == "nat" && c.Hook == "postrouting" {
				return []fixups.Op{&fixups.RuleInsert{ChainRef: fixups.ChainAt(s, host.ID, t, c.Name), Text: text}}
			}
		}
	}
	table := fixups.ChainRef{Where: fixups.At(s, host.ID), System: snap.NFT, Family: fam, Table: ownTable}
	chain := table
	chain.Chain = "postrouting"
	return []fixups.Op{
		&fixups.TableAdd{ChainRef: table},
		&fixups.ChainAdd{ChainRef: chain, Hook: "postrouting", Type: "nat", Priority: 100, Policy: "accept"},
		&fixups.RuleInsert{ChainRef: chain, Text: text},
	}
}

// natPostrouting is the host's iptables nat POSTROUTING, of the variant that is in use.
func natPostrouting(host *snap.Netns, fam snap.Family) (*snap.Table, *snap.Chain) {
	for _, sys := range []snap.System{snap.IPTablesNFT, snap.IPTablesLegacy} {
		if t := host.Ruleset.Table(sys, fam, "nat"); t != nil {
			if c := t.Chain("POSTROUTING"); c != nil {
				return t, c
			}
		}
	}
	return nil, nil
}
