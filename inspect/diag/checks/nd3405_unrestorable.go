package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3405: a saved rule set can't be loaded again.
//
// iptables-restore reads one rule a line. A comment with a newline in it is saved
// as it is, and then breaks the line: the whole file is refused, and a host that
// loads its rules from it at boot comes up without any. Programs that put names of
// containers or hosts into comments can make such rules.
//
// See it by hand:
//
//	iptables-save | iptables-restore --test          must say nothing
//
// Sources: iptables-restore(8); iptables iptables/xshared.c: add_param_to_argv (measured with 1.8.9)
func nd3405() diag.Check {
	return diag.Check{
		Code: "ND3405", Name: "rules-not-restorable", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "The rule set can't be restored from its own save",
		Detect: func(in *diag.Input) []diag.Finding {
			host := in.Snap.HostNs()
			if host == nil {
				return nil
			}
			var out []diag.Finding
			for i := range host.Ruleset.Tables {
				t := &host.Ruleset.Tables[i]
				if t.System != snap.IPTablesNFT && t.System != snap.IPTablesLegacy {
					continue
				}
				for j := range t.Chains {
					c := &t.Chains[j]
					for k := range c.Rules {
						r := &c.Rules[k]
						if !strings.Contains(r.Comment, "\n") {
							continue
						}
						cmd := "iptables"
						if t.Family == snap.IPv6 {
							cmd = "ip6tables"
						}
						out = append(out, diag.Finding{
							Summary:  fmt.Sprintf("%s rule %d of %s has a comment with a newline: %s-restore refuses what %s-save writes", t.Name, r.Num, c.Name, cmd, cmd),
							Cause:    "a rule's comment is saved with its newline, which ends the line there",
							Subject:  diag.Subject{Kind: "rule", Name: fmt.Sprintf("%s/%s/%d", t.Name, c.Name, r.Num), Netns: host.ID},
							Evidence: []diag.Evidence{ev(fmt.Sprintf("%s -t %s -S %s %d", cmd, t.Name, c.Name, r.Num), fmt.Sprintf("--comment %q", r.Comment), snap.RefRule(host.ID, t, c.Name, r.Num))},
							Advice:   "put the rule in again with a comment of one line",
						})
					}
				}
			}
			return out
		},
	}
}
