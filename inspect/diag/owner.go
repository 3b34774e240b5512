package diag

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Owner says whose a rule is, in words: ownerByName with a second look at engines'
// chains. A rule in one of them that the engine does not want is somebody else's.
// That is said only where all that the engine does want is in that chain, so that
// the engine's own intention is known to be understood.
func (in *Input) Owner(w *sim.Where) string {
	owner := ownerByName(w)
	p := w.Rule
	if in.Gone(owner) {
		return "left behind by " + owner + ", which does not run here"
	}
	if in.Fence(w) != nil {
		return "Docker"
	}
	if r, engine := in.Wanted(w); r != nil && owner == "hand-made" {
		return engine
	}
	if owner != "Docker" && owner != "netdoctor" || p == nil || p.Policy || in.Snap.HostNs() == nil || w.Netns != in.Snap.HostNs().ID {
		return owner
	}
	for _, set := range in.engineRules() {
		if set.System != p.System || set.Family != p.Family {
			continue
		}
		d := intent.Diff(in.Snap, set)
		whole := true
		for _, m := range d.Missing {
			whole = whole && (m.Table != p.Table || m.Chain != p.Chain)
		}
		for _, e := range d.Extra {
			if (whole || e.Instead != nil) && e.Table == p.Table && e.Chain == p.Chain && e.Num == p.Num {
				return fmt.Sprintf("hand-made, in a chain of %s's", owner)
			}
		}
	}
	return owner
}

// agents are the programs that keep an owner's rules: where none of them runs nobody
// does, and the rules are what a cluster left behind.
var agents = map[string][]string{
	"kube-proxy":  {"kube-proxy", "kubelet", "k3s", "kubelite", "k0s"},
	"kube-router": {"kube-router", "kubelet", "k3s", "kubelite", "k0s"}, // k3s has its network policies inside
	"Calico":      {"calico-felix", "kubelet", "k3s", "kubelite", "k0s"},
	"Cilium":      {"cilium-agent", "kubelet", "k3s", "kubelite", "k0s"},
}

// swarm is who keeps the ports of a swarm's services (moby daemon/libnetwork:
// programIngressPorts), in chains and networks of its own.
const swarm = "Docker's swarm"

// Gone says whether none of the programs runs here that keep what an owner made; false for
// owners of whom that is not known.
func (in *Input) Gone(owner string) bool {
	if owner == swarm {
		e := in.Snap.Engine("docker")
		return e != nil && e.Reachable && !e.SwarmActive
	}
	d, ok := agents[owner]
	return ok && !slices.ContainsFunc(d, func(name string) bool { return in.Snap.Host.Services[name] > 0 })
}

// Wanted is the rule of a place among those that an engine wants, and whose it is;
// nil when none does. Engines write into the kernel's own chains, too.
func (in *Input) Wanted(w *sim.Where) (*intent.Rule, string) {
	p := w.Rule
	if p == nil || p.Policy {
		return nil, ""
	}
	text, _ := in.RuleLine(w)
	for _, set := range in.engineRules() {
		ns := set.At(in.Snap)
		if ns == nil || ns.ID != w.Netns || set.System != p.System || set.Family != p.Family {
			continue
		}
		for i := range set.Rules {
			if r := &set.Rules[i]; r.Table == p.Table && r.Chain == p.Chain && r.Text == text {
				return r, engineWords[set.Engine]
			}
		}
	}
	return nil, ""
}

// engineWords are the engines as Owner calls them.
var engineWords = map[string]string{"docker": "Docker", "podman": "Podman (netavark)", "netdoctor": "netdoctor"}

// Fence is the network whose member a rule closes to whatever does not come by
// the network's own bridge: Docker's from 28 on, against direct access to
// unpublished ports (moby daemon/libnetwork/drivers/bridge: DROP DIRECT ACCESS). It
// stands in no chain of Docker's when it is written with iptables. nil for any
// other rule.
func (in *Input) Fence(w *sim.Where) *snap.Network {
	p := w.Rule
	host := in.Snap.HostNs()
	if p == nil || p.Policy || host == nil || w.Netns != host.ID || p.ChainP == nil || p.ChainP.Hook != "prerouting" {
		return nil
	}
	text, _ := in.RuleLine(w)
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for j := range c.Endpoints {
			n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[j])
			if n == nil || n.Engine != "docker" || n.Bridge == "" {
				continue
			}
			for _, ip := range []netip.Addr{c.Endpoints[j].IPv4.Addr(), c.Endpoints[j].IPv6.Addr()} {
				if ip.IsValid() && fences(text, ip, n.Bridge) {
					return n
				}
			}
		}
	}
	return nil
}

// fences says whether a rule closes an address to what does not come by the bridge:
// all of it, or, as 28.0 and 28.1 wrote it, one published port.
func fences(text string, ip netip.Addr, bridge string) bool {
	rest, ok := strings.CutPrefix(text, fmt.Sprintf("-A PREROUTING -d %s/%d ! -i %s ", ip, ip.BitLen(), bridge))
	if ok {
		return rest == "-j DROP" || strings.HasPrefix(rest, "-p ") && strings.HasSuffix(rest, " -j DROP")
	}
	word := "ip"
	if ip.Is6() {
		word = "ip6"
	}
	return strings.HasPrefix(text, fmt.Sprintf("%s daddr %s iifname != %q ", word, ip, bridge)) && strings.Contains(text, " drop")
}

// engineRules are the rules that the engines want, worked out once: whose a rule is
// gets asked of every rule that a flow met.
func (in *Input) engineRules() []intent.Set {
	if in.wants == nil {
		in.wants = append(append([]intent.Set{}, intent.Of(in.Snap)...), intent.OfOps(in.Snap, "netdoctor", in.Own)...)
	}
	return in.wants
}
