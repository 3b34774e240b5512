package fault

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// victim is a container on a bridge network, with what belongs to it.
type victim struct {
	s      *snap.Snapshot
	c      *snap.Container
	ep     *snap.Endpoint
	net    *snap.Network
	ns     *snap.Netns // its own
	host   *snap.Netns
	eth    *snap.Link // inside
	veth   *snap.Link // the other end, on the host
	bridge *snap.Link // of its network
}

// find finds the victim of a fault.
func find(s *snap.Snapshot, target string) (*victim, error) {
	var best *victim
	for i := range s.Containers {
		v := victimOf(s, &s.Containers[i])
		switch {
		case v == nil:
		case target != "" && v.c.Name == target:
			return v, nil
		case target == "" && (best == nil || len(best.c.Ports) == 0 && len(v.c.Ports) > 0):
			best = v
		}
	}
	if best == nil {
		return nil, fmt.Errorf("a running container %q on a bridge network: %w", target, snap.ErrNotFound)
	}
	return best, nil
}

func victimOf(s *snap.Snapshot, c *snap.Container) *victim {
	v := &victim{s: s, c: c, ns: s.Ns(c.Netns), host: s.HostNs()}
	if v.ns == nil || v.host == nil || v.ns == v.host || !c.Running() || len(c.Endpoints) == 0 {
		return nil
	}
	v.ep = &c.Endpoints[0]
	if v.net = s.NetworkOf(c.Engine, v.ep); v.net == nil || v.net.Driver != "bridge" {
		return nil
	}
	l, ok := v.ns.HasAddr(v.ep.IPv4.Addr())
	if !ok || l.PeerNetns != v.host.ID {
		return nil
	}
	v.eth, v.veth, v.bridge = l, v.host.LinkAt(l.Peer), v.host.Link(v.net.Bridge)
	if v.veth == nil || v.bridge == nil {
		return nil
	}
	return v
}

// in is the container's own namespace, on the host's.
func (v *victim) in() fixups.Where { return fixups.At(v.s, v.ns.ID) }
func (v *victim) on() fixups.Where { return fixups.At(v.s, v.host.ID) }

// defaultRoute is the IPv4 default route of a namespace, of the main table.
func defaultRoute(ns *snap.Netns) (snap.Route, error) {
	for _, r := range ns.Routes {
		if r.Family == snap.IPv4 && r.Table == snap.TableMain && r.Dst.Bits() == 0 && r.Type == "unicast" {
			return r, nil
		}
	}
	return snap.Route{}, fmt.Errorf("an IPv4 default route in %s: %w", ns.ID, snap.ErrNotFound)
}

// host finds the host and its device towards the world.
func host(s *snap.Snapshot) (*snap.Netns, *snap.Link, snap.Route, error) {
	ns := s.HostNs()
	if ns == nil {
		return nil, nil, snap.Route{}, fmt.Errorf("the host's namespace: %w", snap.ErrNotFound)
	}
	r, err := defaultRoute(ns)
	if err != nil {
		return nil, nil, r, err
	}
	l := ns.LinkAt(r.Oif)
	if l == nil {
		return nil, nil, r, fmt.Errorf("the uplink: %w", snap.ErrNotFound)
	}
	return ns, l, r, nil
}

// one is a fault of a single operation on a victim.
func one(f func(*victim) (fixups.Op, error)) func(*snap.Snapshot, string) ([]fixups.Op, error) {
	return func(s *snap.Snapshot, target string) ([]fixups.Op, error) {
		v, err := find(s, target)
		if err != nil {
			return nil, err
		}
		op, err := f(v)
		if err != nil {
			return nil, err
		}
		return []fixups.Op{op}, nil
	}
}

// deleteRules deletes the rules of the host's IPv4 packet filters that a test
// picks; one at least.
func deleteRules(s *snap.Snapshot, what string, pick func(*snap.Chain, *snap.Rule) bool) ([]fixups.Op, error) {
	ns := s.HostNs()
	var out []fixups.Op
	for i := range ns.Ruleset.Tables {
		t := &ns.Ruleset.Tables[i]
		if t.Family != snap.IPv4 && t.Family != snap.Inet {
			continue
		}
		for j := range t.Chains {
			ch := &t.Chains[j]
			for k := range ch.Rules {
				if pick(ch, &ch.Rules[k]) {
					out = append(out, &fixups.RuleDelete{ChainRef: fixups.ChainAt(s, ns.ID, t, ch.Name), Rule: ch.Rules[k]})
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: %w", what, snap.ErrNotFound)
	}
	return out, nil
}
