package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
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
	src := in.Flows[f.Covers.Traces[0]].Trace.ExitSrc.Addr()
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
