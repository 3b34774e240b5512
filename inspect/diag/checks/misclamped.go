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
	t, c, r := host.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
		text := firewall.RuleText(host, t, c, r)
		if !setsMSS(r) || !strings.Contains(text, "clamp-mss-to-pmtu") && !strings.Contains(text, "rt mtu") {
			return false
		}
		l := host.Link(outDevice(text))
		return l != nil && l.MTU >= whole
	})
	if r == nil {
		return diag.Evidence{}, nil
	}
	var narrow []*snap.Link
	for _, l := range diag.Outward(in.Snap) {
		if l.Up && l.MTU != 0 && l.MTU < whole && !clampsMSS(host, l.Name) {
			narrow = append(narrow, l)
		}
	}
	ref := snap.RefRule(host.ID, t, c.Name, r.Num)
	line, source := in.RuleLine(rulePlace(in, ref))
	return ev(source, line, ref), narrow
}
