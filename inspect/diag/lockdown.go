package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Lockdown says whether a place is in a table that closes its own namespace's way to the
// world, this host's or a container's, but for what it names: a VPN's kill switch, which
// lets nothing out beside its tunnel, or a list of what may be reached. Nobody writes that
// by mistake, and what opens it defeats it. The place itself is a last word, too: a policy,
// or a rule that asks for no more than a device.
func (in *Input) Lockdown(w *sim.Where) bool {
	if w == nil || w.Rule == nil || w.Rule.TableP == nil || !lastWord(w.Rule) {
		return false
	}
	ns := in.Snap.Ns(w.Netns)
	if ns == nil || !ns.Class.Ours() {
		return false
	}
	for _, a := range outsideWorld {
		f := sim.Flow{From: ns.ID, Dst: netip.MustParseAddr(a), Proto: snap.TCP, Dport: 443, StopOutside: true}
		o := RulePlace(in.World.Trace(f).Where)
		if o == nil || o.Reply || o.Rule == nil || o.Rule.TableP != w.Rule.TableP || !lastWord(o.Rule) {
			return false
		}
	}
	return slices.ContainsFunc(w.Rule.TableP.Chains, func(c snap.Chain) bool {
		return c.Hook == "output" && slices.ContainsFunc(c.Rules, func(r snap.Rule) bool {
			return namesWayOut(firewall.RuleText(ns, w.Rule.TableP, &c, &r))
		})
	})
}

// namesWayOut says whether a rule accepts what leaves by a device, for an address or with
// a mark: an exception from what is closed.
func namesWayOut(text string) bool {
	words := strings.Fields(text)
	accepts := slices.Contains(words, "accept") || slices.Contains(words, "ACCEPT")
	return accepts && !slices.Contains(words, "lo") && !slices.Contains(words, `"lo"`) && !slices.Contains(words, "127.0.0.0/8") &&
		slices.ContainsFunc(words, func(w string) bool {
			return slices.Contains([]string{"oif", "oifname", "-o", "daddr", "-d", "--dst-range", "--match-set", "mark", "--mark"}, w)
		})
}
