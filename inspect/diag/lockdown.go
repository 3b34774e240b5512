package diag

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Lockdown says whether a place is in a table of this host that closes the host's own way
// to the world, but for what it names: a VPN's kill switch, which lets nothing out beside
// its tunnel, or a list of what may be reached. Nobody writes that by mistake, and what
// opens it defeats it. The place itself is a last word, too: a policy, or a rule that asks
// for nothing.
func (in *Input) Lockdown(w *sim.Where) bool {
	host := in.Snap.HostNs()
	if w == nil || w.Rule == nil || w.Rule.TableP == nil || host == nil || w.Netns != host.ID || !w.Rule.Policy && !bare(w.Rule.Rule) {
		return false
	}
	for _, a := range outsideWorld {
		f := sim.Flow{From: host.ID, Dst: netip.MustParseAddr(a), Proto: snap.TCP, Dport: 443, StopOutside: true}
		o := RulePlace(in.World.Trace(f).Where)
		if o == nil || o.Reply || o.Rule == nil || o.Rule.TableP != w.Rule.TableP || !o.Rule.Policy && !bare(o.Rule.Rule) {
			return false
		}
	}
	return slices.ContainsFunc(w.Rule.TableP.Chains, func(c snap.Chain) bool {
		return c.Hook == "output" && slices.ContainsFunc(c.Rules, func(r snap.Rule) bool {
			return namesWayOut(firewall.RuleText(host, w.Rule.TableP, &c, &r))
		})
	})
}

// namesWayOut says whether a rule accepts what leaves by a device, for an address or with
// a mark: an exception from what is closed.
func namesWayOut(text string) bool {
	words := strings.Fields(text)
	accepts := slices.Contains(words, "accept") || slices.Contains(words, "ACCEPT")
	names := slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains([]string{"oif", "oifname", "-o", "daddr", "-d", "--dst-range", "--match-set", "mark", "--mark"}, w)
	})
	return accepts && names && !slices.Contains(words, "lo") && !slices.Contains(words, `"lo"`) && !slices.Contains(words, "127.0.0.0/8")
}
