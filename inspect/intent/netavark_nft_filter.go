package intent

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Chains of netavark's nftables driver in which packets are let through, or kept from
// another network.
const (
	varkInput  = "INPUT"
	varkFwd    = "FORWARD"
	varkApart1 = "NETAVARK-ISOLATION-1"
	varkApart2 = "NETAVARK-ISOLATION-2"
	varkApart3 = "NETAVARK-ISOLATION-3"
)

// filter is what netavark writes into its chain at forward. That accepts what it does not
// stop, so that the rules that accept change nothing; they are put back with their whole
// table alone, as releases write them differently, and those at input are left out. What
// keeps networks apart that were made so (isolate, isolate=strict) is wanted always, and
// is the same in 1.17.2 and 2.1.0 (netavark src/firewall/nft.rs: setup_network).
func (v *varkSet) filter(b bridgeNet, family snap.Family, strict bool) {
	word := family.NFT()
	idle := func(chain, text, why string) {
		if v.have == nil {
			v.once(chain, text, text, why, b.n, true)
		}
	}
	if v.have == nil {
		v.chain(Chain{Name: varkInput, Hook: "input", Type: "filter"})
		v.chain(Chain{Name: varkFwd, Hook: "forward", Type: "filter"})
	}
	idle(varkFwd, "ct state invalid drop", "stops what is of no connection")
	v.apart(b.n, strict)
	idle(varkFwd, fmt.Sprintf("%s daddr %s ct state established,related accept", word, b.subnet), "answers to "+b.n.Name)
	idle(varkFwd, fmt.Sprintf("%s saddr %s accept", word, b.subnet), b.n.Name+" to the world")
}

// apart keeps a network from the others as it was made to be; strict says that there is
// one which is kept from those, too, that are open to each other.
func (v *varkSet) apart(n *snap.Network, strict bool) {
	kept := varkIsolated(n)
	if v.have != nil && kept == "" && !strict {
		return
	}
	for _, name := range []string{varkApart1, varkApart2, varkApart3} {
		if v.have == nil || v.have.Chain(name) == nil {
			v.chain(Chain{Name: name})
		}
	}
	in, out := fmt.Sprintf("iifname %q ", n.Bridge), fmt.Sprintf("oifname %q ", n.Bridge)
	why := n.Name + " is kept apart"
	v.once(varkFwd, "jump "+varkApart1, "jump "+varkApart1, "networks are kept apart", n, kept == "")
	switch kept {
	case "":
		v.once(varkApart3, out, out+"drop", n.Name+" is closed to networks that are kept apart strictly", n, !strict)
	case varkApart2, varkApart3:
		v.once(varkApart1, in, in+strings.Replace(out, "oifname", "oifname !=", 1)+"jump "+kept, why, n, false)
		v.once(varkApart2, out, out+"drop", why, n, false)
	}
	v.last = n
}

// closing adds the rule that stands behind those of all networks, where any is looked at.
func (v *varkSet) closing(strict bool) {
	if v.last != nil {
		v.once(varkApart3, "jump "+varkApart2, "jump "+varkApart2, "networks are kept apart", v.last, !strict)
	}
}

// once appends a wanted rule that is not wanted yet: as it is there, if one begins as is said.
// It is optional if it is so for all who want it.
func (v *varkSet) once(chain, begins, text, why string, n *snap.Network, optional bool) {
	if v.have != nil {
		if c := v.have.Chain(chain); c != nil {
			for i := range c.Rules {
				if t := firewall.RuleText(v.host, v.have, c, &c.Rules[i]); strings.HasPrefix(t, begins) {
					text = t
				}
			}
		}
	}
	if i := slices.IndexFunc(v.Rules, func(r Rule) bool { return r.Chain == chain && r.Text == text }); i >= 0 {
		v.Rules[i].Optional = v.Rules[i].Optional && optional
		return
	}
	v.rule(chain, text, why, n).Optional = optional
}

// varkIsolated is the chain that a network which is kept apart is led to; "" for one that
// is not (netavark src/network/core_utils.rs: get_isolate).
func varkIsolated(n *snap.Network) string {
	o := n.Options["isolate"]
	if o == "strict" {
		return varkApart3
	}
	if yes, _ := strconv.ParseBool(o); yes {
		return varkApart2
	}
	return ""
}
