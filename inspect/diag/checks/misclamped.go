package checks

import (
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// misplacedClamp is a rule that holds segments down to what its device carries, where that
// device carries whole packets and there is nothing to hold down, and the narrower devices
// out of this host that no rule does that for: it names the wrong one.
func misplacedClamp(in *diag.Input) (diag.Evidence, []*snap.Link) {
	const whole = 1500
	host := in.Snap.HostNs()
	for i := range host.Ruleset.Tables {
		t := &host.Ruleset.Tables[i]
		for j := range t.Chains {
			c := &t.Chains[j]
			for k := range c.Rules {
				text := firewall.RuleText(host, t, c, &c.Rules[k])
				if !setsMSS(&c.Rules[k]) || !strings.Contains(text, "clamp-mss-to-pmtu") && !strings.Contains(text, "rt mtu") {
					continue
				}
				if l := host.Link(outDevice(text)); l == nil || l.MTU < whole {
					continue
				}
				var narrow []*snap.Link
				for _, l := range diag.Outward(in.Snap) {
					if l.Up && l.MTU != 0 && l.MTU < whole && !clampsMSS(host, l.Name) {
						narrow = append(narrow, l)
					}
				}
				line, source := in.RuleLine(rulePlace(in, snap.RefRule(host.ID, t, c.Name, c.Rules[k].Num)))
				return ev(source, line, snap.RefRule(host.ID, t, c.Name, c.Rules[k].Num)), narrow
			}
		}
	}
	return diag.Evidence{}, nil
}
