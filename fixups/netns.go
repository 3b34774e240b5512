package fixups

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// NetnsAdd makes a named network namespace, as `ip netns add` does.
type NetnsAdd struct {
	Name string `json:"name"`
}

// NetnsDel takes the name away; the namespace ends when nothing is left in it.
type NetnsDel struct {
	Name string `json:"name"`
}

func (*NetnsAdd) Kind() string { return "netns-add" }
func (*NetnsDel) Kind() string { return "netns-del" }

// Netns is the new one's ID.
func (o *NetnsAdd) Netns() string { return o.Name }

// Netns is the ID of the one that goes.
func (o *NetnsDel) Netns() string { return o.Name }

func (o *NetnsAdd) Describe() string { return "make namespace " + o.Name }
func (o *NetnsDel) Describe() string { return "delete namespace " + o.Name }

func (o *NetnsAdd) Shell() []string { return []string{words("ip", "netns", "add", o.Name)} }
func (o *NetnsDel) Shell() []string { return []string{words("ip", "netns", "del", o.Name)} }

func named(s *snap.Snapshot, name string) int {
	return slices.IndexFunc(s.Netns, func(n snap.Netns) bool { return n.IPNetns() == name })
}

func (o *NetnsAdd) On(s *snap.Snapshot) error {
	if o.Name == "" || o.Name == "." || o.Name == ".." || slices.Contains([]byte(o.Name), '/') {
		return fmt.Errorf("%q can't name a namespace", o.Name)
	}
	if named(s, o.Name) >= 0 || s.Ns(o.Name) != nil {
		return fmt.Errorf("namespace %s is there already", o.Name)
	}
	s.Netns = append(s.Netns, snap.Netns{
		ID: o.Name, Path: "/run/netns/" + o.Name, Names: []string{o.Name}, Class: snap.ClassForeign,
		Links:   []snap.Link{{Index: 1, Name: "lo", Kind: "loopback", MTU: 65536, Loopback: true, OperState: "down", PeerNSID: -1, MAC: "00:00:00:00:00:00"}},
		Sysctls: map[string]string{"net/ipv4/ip_forward": "0"},
	})
	return nil
}

func (o *NetnsDel) On(s *snap.Snapshot) error {
	i := named(s, o.Name)
	if i < 0 {
		return snap.NotFoundf("no namespace %s", o.Name)
	}
	ns := &s.Netns[i]
	if len(ns.Pids) > 0 {
		ns.Names, ns.Path = snap.Without(slices.Clone(ns.Names), func(n string) bool { return n == o.Name }), fmt.Sprintf("/proc/%d/ns/net", ns.Pids[0])
		return nil
	}
	for len(ns.Links) > 0 {
		l := &ns.Links[len(ns.Links)-1]
		if pns, p := peerOf(s, ns, l); p != nil && l.Kind == "veth" && pns != ns {
			forget(s, pns, p.Index)
		}
		ns.Links = ns.Links[:len(ns.Links)-1]
	}
	s.Netns = slices.Delete(s.Netns, i, i+1)
	return nil
}

func (o *NetnsAdd) Inverse(s *snap.Snapshot) (Op, error) {
	if named(s, o.Name) >= 0 {
		return nil, nil
	}
	return &NetnsDel{o.Name}, nil
}

// Inverse is refused for a namespace that holds more than lo: what was in it
// can't be made again.
func (o *NetnsDel) Inverse(s *snap.Snapshot) (Op, error) {
	i := named(s, o.Name)
	if i < 0 {
		return nil, nil
	}
	if ns := &s.Netns[i]; len(ns.Links) > 1 || len(ns.Pids) > 0 {
		return nil, fmt.Errorf("namespace %s is in use: %w", o.Name, snap.ErrUnsupported)
	}
	return &NetnsAdd{o.Name}, nil
}

func (o *NetnsAdd) Risk() Risk { return RiskLow }
func (o *NetnsDel) Risk() Risk { return RiskHigh }

func (o *NetnsAdd) Object(s *snap.Snapshot) any { return named(s, o.Name) >= 0 }
func (o *NetnsDel) Object(s *snap.Snapshot) any { return named(s, o.Name) >= 0 }

func (o *NetnsAdd) Holds(s *snap.Snapshot) bool { return named(s, o.Name) >= 0 }
func (o *NetnsDel) Holds(s *snap.Snapshot) bool { return named(s, o.Name) < 0 }
