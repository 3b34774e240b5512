package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// exempted says whether a rule of the host's NAT leaves packets to that destination as they
// are, by its address: the networks of a cluster or a VPN, whose members know each other's.
func exempted(host *snap.Netns, src, dst netip.Addr) bool {
	for i := range host.Ruleset.Tables {
		t := &host.Ruleset.Tables[i]
		nat := t.Name == "nat" || slices.ContainsFunc(t.Chains, func(c snap.Chain) bool { return c.Type == "nat" })
		if !nat {
			continue
		}
		for j := range t.Chains {
			c := &t.Chains[j]
			for k := range c.Rules {
				if leaves(strings.Fields(firewall.RuleText(host, t, c, &c.Rules[k])), src, dst) {
					return true
				}
			}
		}
	}
	return false
}

// leaves says whether a rule's words end the chain for packets from src to dst.
func leaves(words []string, src, dst netip.Addr) bool {
	to := false
	for i, w := range words[:max(len(words)-1, 0)] {
		if w != "-s" && w != "-d" && w != "saddr" && w != "daddr" {
			continue
		}
		a, from := dst, w == "-s" || w == "saddr"
		if from {
			a = src
		}
		p, err := netip.ParsePrefix(words[i+1])
		if err != nil || i > 0 && words[i-1] == "!" || !p.Contains(a) {
			return false
		}
		to = to || !from
	}
	return to && (slices.Contains(words, "RETURN") || slices.Contains(words, "ACCEPT") || slices.Contains(words, "return") || slices.Contains(words, "accept"))
}
