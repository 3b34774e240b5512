package names

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// place is a network that the asker is on, with its endpoint there.
type place struct {
	net *snap.Network
	ep  *snap.Endpoint
}

type places []place

func (p places) names() []string {
	var out []string
	for _, x := range p {
		out = append(out, x.net.Name)
	}
	return out
}

// networks are those of the asker where names resolve, in the order in which
// Docker searches them: that of the default gateway.
func (w *walker) networks() places {
	var out places
	if w.box == nil {
		return nil
	}
	for i := range w.box.Endpoints {
		ep := &w.box.Endpoints[i]
		if n := w.s.NetworkOf(w.box.Engine, ep); n != nil && n.DNS && !n.Default {
			out = append(out, place{n, ep})
		}
	}
	snap.Sort(out, func(a, b place) int { return snap.GatewayOrder(a.ep, a.net, b.ep, b.net) })
	return out
}

// embeddedWanted says whether the asker's engine gives it a resolver at 127.0.0.11.
func (w *walker) embeddedWanted() bool {
	if w.box == nil || w.ns.ID == w.s.Host.Netns {
		return false
	}
	nets := w.networks()
	if w.box.Engine == "netdoctor" { // a practice host's networks have servers of their own
		return slices.ContainsFunc(nets, func(p place) bool { return len(p.net.DNSServers) == 0 })
	}
	return snap.IsDocker(w.box.Engine) && len(nets) > 0
}

// hit is what the records of a network say.
type hit struct {
	network *snap.Network
	answers []string // empty: the name is there in the other family only
	because []snap.Ref
	why     string // of the answers; "" they are containers' own
}

// record looks the name up on the networks: as a whole, then split at each dot
// into name and network (moby daemon/libnetwork/sandbox.go: ResolveName).
func (w *walker) record(nets places, name string) (hit, bool) {
	switch w.typ {
	case "PTR":
		return w.pointer(nets, name)
	case "A", "AAAA", "MX":
	default:
		return hit{}, false // TXT, SRV, ANY go upstream, for names of its own, too
	}
	name = fold(name)
	for i := len(name); i > 0; i = strings.LastIndexByte(name[:i], '.') {
		host, network := name[:i], strings.TrimPrefix(name[i:], ".")
		for _, p := range nets {
			if network != "" && fold(p.net.Name) != network {
				continue
			}
			if h, ok := w.onNetwork(p.net, host); ok {
				return h, true
			}
		}
	}
	return hit{}, false
}

// onNetwork collects the addresses of all containers that answer to the name there.
func (w *walker) onNetwork(n *snap.Network, name string) (hit, bool) {
	h := hit{network: n, because: []snap.Ref{snap.RefNetwork(n.Ref)}}
	for i := range n.Services { // one address in front of several containers, or all of theirs
		v := &n.Services[i]
		tasks := v.Tasks != nil && (name == "tasks."+fold(v.Name) || fold(v.Name) == name && !v.VIP.IsValid())
		if fold(v.Name) != name && !tasks {
			continue
		}
		list := []netip.Addr{v.VIP}
		if tasks {
			list = v.Tasks
		}
		for _, a := range list {
			if a.Is4() == (w.typ != "AAAA") && w.typ != "MX" {
				h.answers = append(h.answers, a.String())
			}
		}
		if len(h.answers) > 0 && !tasks {
			h.why = "the virtual address of service " + v.Name + w.behind(n, v)
		}
		return h, true
	}
	found := false
	for i := range w.s.Containers {
		c := &w.s.Containers[i]
		if c.Engine != n.Engine || !c.Running() {
			continue
		}
		for j := range c.Endpoints {
			ep := &c.Endpoints[j]
			if w.s.NetworkOf(c.Engine, ep) != n || !ep.IPv4.IsValid() && !ep.IPv6.IsValid() {
				continue
			}
			if linked := w.linked(n, name); linked != "" && linked != c.Name || linked == "" && !slices.Contains(endpointNames(c, ep), name) {
				continue // a link hides whoever else has the name
			}
			found = true
			h.because = append(h.because, snap.RefContainer(c.Ref))
			a := ep.IPv4.Addr()
			if w.typ == "AAAA" {
				a = ep.IPv6.Addr()
			}
			if a.IsValid() && w.typ != "MX" {
				h.answers = append(h.answers, a.String())
			}
		}
	}
	slices.Sort(h.answers)
	return h, found
}

// linked is the container that a private alias of the asker stands for on a
// network, "" for none: docker run --link container:alias (moby
// daemon/libnetwork/sandbox.go: resolveName).
func (w *walker) linked(n *snap.Network, name string) string {
	for i := range w.box.Endpoints {
		ep := &w.box.Endpoints[i]
		if w.s.NetworkOf(w.box.Engine, ep) != n {
			continue
		}
		for _, l := range slices.Concat(ep.Links, w.box.Links) {
			to, alias, ok := strings.Cut(l, ":")
			if !ok {
				alias = to
			}
			to, alias = to[strings.LastIndexByte(to, '/')+1:], alias[strings.LastIndexByte(alias, '/')+1:]
			if fold(alias) == name {
				return to
			}
		}
	}
	return ""
}

// endpointNames are the names that a container has on one network: what the
// engine says, else container name, aliases, short id and host name (moby
// daemon/container_operations.go: buildEndpointDNSNames).
func endpointNames(c *snap.Container, ep *snap.Endpoint) []string {
	var out []string
	add := func(n string) {
		if n = fold(n); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	for _, n := range ep.DNSNames {
		add(n)
	}
	if len(out) > 0 {
		return out
	}
	add(c.NetName())
	for _, n := range ep.Aliases {
		add(n)
	}
	if len(c.ID) >= 12 {
		add(c.ID[:12])
	}
	if snap.IsDocker(c.Engine) {
		add(c.Hostname)
	}
	return out
}

// pointer answers PTR for addresses on the networks.
func (w *walker) pointer(nets places, name string) (hit, bool) {
	ip, ok := address(name)
	if !ok {
		return hit{}, false
	}
	for _, p := range nets {
		for i := range w.s.Containers {
			c := &w.s.Containers[i]
			if c.Engine != p.net.Engine || !c.Running() {
				continue
			}
			for j := range c.Endpoints {
				ep := &c.Endpoints[j]
				if w.s.NetworkOf(c.Engine, ep) != p.net || ep.IPv4.Addr() != ip && ep.IPv6.Addr() != ip {
					continue
				}
				who := c.Name
				if len(ep.DNSNames) > 0 {
					who = ep.DNSNames[0]
				}
				return hit{network: p.net, answers: []string{who + "." + p.net.Name + "."}, because: []snap.Ref{snap.RefNetwork(p.net.Ref), snap.RefContainer(c.Ref)}}, true
			}
		}
	}
	return hit{}, false
}

// swarm is the Ref of a task of a swarm service of that name, "" for none.
func (w *walker) swarm(name string) snap.Ref {
	svc := strings.TrimPrefix(fold(name), "tasks.")
	for i := range w.s.Containers {
		c := &w.s.Containers[i]
		if s := c.Labels["com.docker.swarm.service.name"]; s != "" && fold(s) == svc {
			return snap.RefContainer(c.Ref)
		}
	}
	return ""
}

// answersTo says whether any endpoint of the container has the name, with or
// without its network behind it.
func (w *walker) answersTo(c *snap.Container, name string) bool {
	name = fold(name)
	if fold(c.Name) == name {
		return true
	}
	for j := range c.Endpoints {
		ep := &c.Endpoints[j]
		bare, _ := strings.CutSuffix(name, "."+fold(ep.Network))
		if slices.Contains(endpointNames(c, ep), bare) {
			return true
		}
	}
	return false
}

// has says whether the asker is on that network.
func (p places) has(n *snap.Network) bool {
	return slices.ContainsFunc(p, func(x place) bool { return x.net == n })
}

func holds(ns *snap.Netns, a netip.Addr) bool {
	_, ok := ns.HasAddr(a)
	return ok
}

// behind are the addresses that a service's virtual one stands for, as the end of
// a phrase; "" where they are not known.
func (w *walker) behind(n *snap.Network, v *snap.Service) string {
	var list []string
	for _, a := range v.Tasks {
		list = append(list, a.String())
	}
	for i := range w.s.Containers {
		c := &w.s.Containers[i]
		if v.Tasks != nil || c.Engine != n.Engine || !c.Running() || c.Service != v.Name {
			continue
		}
		for j := range c.Endpoints {
			if ep := &c.Endpoints[j]; w.s.NetworkOf(c.Engine, ep) == n && ep.IPv4.IsValid() {
				list = append(list, ep.IPv4.Addr().String())
			}
		}
	}
	if len(list) == 0 {
		return ""
	}
	return ", in front of " + strings.Join(list, ", ")
}
