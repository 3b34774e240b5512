package driver

import (
	"cmp"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Kernel is everything that a container has in the kernel. before is how many
// rules of published ports its network has already.
func Kernel(e *Env, nets map[string]*Network, c *Container, before [2]int) []fixups.Op {
	var ops []fixups.Op
	if !c.Shared() {
		ops = Sandbox(e, c)
	}
	ops = append(ops, Attached(e, nets, c)...)
	for _, v6 := range []bool{false, true} {
		if r := DefaultRoute(e, c, Gateway(e, c, nets, v6), v6); r != nil {
			ops = append(ops, r)
		}
	}
	if ep := Publisher(e, c, nets); ep != nil {
		ops = append(ops, Publish(e, nets[ep.Network], ep, c.Ctr.Ports, before)...)
	}
	return ops
}

// Attached is what puts a container on its networks, and all that somebody
// else's container has of ours.
func Attached(e *Env, nets map[string]*Network, c *Container) []fixups.Op {
	var ops []fixups.Op
	for i := range c.Ctr.Endpoints {
		if n := nets[c.Ctr.Endpoints[i].Network]; n != nil {
			ops = append(ops, Attach(e, n, c, &c.Ctr.Endpoints[i])...)
		}
	}
	return ops
}

// Published is how many rules a network's published ports have, for IPv4 and
// IPv6, without those of one container.
func Published(e *Env, nets map[string]*Network, all []Container, network, but string) (n [2]int) {
	for i := range all {
		c := &all[i]
		if len(c.Ctr.Ports) == 0 || c.Ctr.ID == but || c.Foreign {
			continue
		}
		if ep := Publisher(e, c, nets); ep != nil && ep.Network == network {
			n[0] += nets[network].Rules(ep, c.Ctr.Ports, false)
			n[1] += nets[network].Rules(ep, c.Ctr.Ports, true)
		}
	}
	return n
}

// ServicesOf are all virtual addresses with the containers behind them.
func ServicesOf(nets []Network, all []Container) []Service {
	var out []Service
	for i := range nets {
		n := &nets[i]
		for _, v := range n.Net.Services {
			svc := Service{Name: v.Name, Network: n.Net.Name, VIP: v.VIP}
			for j := range all {
				c := &all[j]
				if ep := c.Endpoint(n.Net.Name); ep != nil && c.Ctr.Service == v.Name && ep.IPv4.IsValid() {
					svc.Backends = append(svc.Backends, ep.IPv4.Addr())
				}
			}
			out = append(out, svc)
		}
	}
	return out
}

// Frames says for which families, IPv4 and IPv6, chains and jumps were made, and
// FORWARD's policy set to DROP.
type Frames struct{ Made, Drop [2]bool }

// All is everything that networks and containers, in the order of their
// creation, have in the kernel.
func All(e *Env, f Frames, list []Network, all []Container) []fixups.Op {
	var ops []fixups.Op
	for i, v6 := range []bool{false, true} {
		if f.Made[i] {
			ops = append(ops, Frame(e, v6)...)
		}
		if f.Drop[i] {
			ops = append(ops, Forwarding(e, v6)...)
		}
	}
	nets := byName(list)
	for i := range list {
		ops = append(ops, Up(e, &list[i])...)
	}
	for i := range all {
		c := &all[i]
		if c.Foreign {
			ops = append(ops, Attached(e, nets, c)...)
			continue
		}
		var before [2]int
		if ep := Publisher(e, c, nets); ep != nil { // the places of rules count those that came before
			before = Published(e, nets, all[:i], ep.Network, c.Ctr.ID)
		}
		ops = append(ops, Kernel(e, nets, c, before)...)
	}
	services := ServicesOf(list, all)
	for i := range all {
		if c := &all[i]; c.Balanced != "" && !c.Shared() && !c.Foreign {
			ops = append(ops, Services(e, c, services)...)
		}
	}
	return append(ops, helper(e, nets, all)...)
}

func byName(list []Network) map[string]*Network {
	nets := map[string]*Network{}
	for i := range list {
		nets[list[i].Net.Name] = &list[i]
	}
	return nets
}

// Intent is what our own networks of a snapshot should have in the kernel, in
// the order in which it is made; nil where nothing was set up. Containers whose
// namespace is not known are left out, but for their rules.
func Intent(s *snap.Snapshot) []fixups.Op {
	x := s.Engine(Engine)
	if x == nil || x.Own == nil {
		return nil
	}
	e := &Env{
		Name: x.Own.Name, Gen: Generation(x.Own.Gen), Dir: x.Own.Dir, System: x.Own.System, Proxy: x.UserlandProxy, Rootless: x.Rootless,
		Host: fixups.At(s, s.Host.Netns), places: map[string]fixups.Where{},
	}
	for i := range s.Netns {
		if p := s.Netns[i].Path; p != "" {
			e.places[p] = fixups.At(s, s.Netns[i].ID)
		}
	}
	var nets []Network
	for i := range s.Networks {
		if n := &s.Networks[i]; n.Engine == Engine && n.Own != nil {
			nets = append(nets, Network{Net: *n, OwnNetwork: *n.Own})
		}
	}
	var all []Container
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Engine != Engine || c.Own == nil {
			continue
		}
		if s.Ns(c.Netns) != nil && c.SandboxKey != "" {
			e.places[c.SandboxKey] = fixups.At(s, c.Netns)
		}
		all = append(all, Container{Ctr: *c, OwnContainer: *c.Own})
	}
	snap.Sort(nets, func(a, b Network) int { return cmp.Compare(a.Seq, b.Seq) })
	snap.Sort(all, func(a, b Container) int { return cmp.Compare(a.Seq, b.Seq) })
	return All(e, Frames{[2]bool{x.Own.Frame4, x.Own.Frame6}, [2]bool{x.Own.Drop4, x.Own.Drop6}}, nets, all)
}

// helper is the process that answers in the containers that have a resolver, and
// listens on published ports.
func helper(e *Env, nets map[string]*Network, all []Container) []fixups.Op {
	op := &fixups.HelperStart{Helper: fixups.Helper{Dir: e.Dir}}
	for i := range all {
		c := &all[i]
		if !c.Ctr.Running() {
			continue
		}
		if e.Proxy && Publisher(e, c, nets) != nil {
			for _, p := range c.Ctr.Ports {
				if p.Proto != snap.SCTP { // it goes by the rules alone
					op.At = append(op.At, fixups.Listener{Where: e.Host, Proto: p.Proto, Addr: netip.AddrPortFrom(p.HostIP, p.HostPort)})
				}
			}
		}
		if c.DNSPort == 0 {
			continue
		}
		w, at := e.Where(c), netip.AddrPortFrom(snap.DockerResolver(), c.DNSPort)
		op.At = append(op.At, fixups.Listener{Where: w, Proto: snap.UDP, Addr: at}, fixups.Listener{Where: w, Proto: snap.TCP, Addr: at})
	}
	if len(op.At) == 0 {
		return nil
	}
	return []fixups.Op{op}
}
