package fixups

import (
	"fmt"
	"maps"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkDel takes a device away, with its addresses and routes; a veth with its
// other end.
type LinkDel struct {
	Where `json:"where"`
	Name  string `json:"name"`
}

func (*LinkDel) Kind() string { return "link-del" }

func (o *LinkDel) Describe() string { return fmt.Sprintf("delete %s%s", o.Name, o.in()) }

func (o *LinkDel) Shell() []string { return []string{o.line("ip", "link", "del", "dev", o.Name)} }

func (o *LinkDel) On(s *snap.Snapshot) error {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return err
	}
	if l.Loopback || l.Kind == "" {
		return fmt.Errorf("%s in %s can't be deleted: %w", l.Name, o.ID, snap.ErrUnsupported)
	}
	if pns, p := peerOf(s, ns, l); p != nil && l.Kind == "veth" {
		p.Peer = 0
		forget(s, pns, p.Index)
	}
	forget(s, ns, ns.Link(o.Name).Index)
	return nil
}

// forget takes a device and all that hangs on it out of a namespace.
func forget(s *snap.Snapshot, ns *snap.Netns, index int) {
	l := ns.LinkAt(index)
	drop(s, ns, l)
	for i := range ns.Links {
		if ns.Links[i].Master == index {
			ns.Links[i].Master, ns.Links[i].Port = 0, nil
		}
	}
	if l.Master != 0 {
		leave(s, ns, l)
	}
	name := l.Name
	ns.Addrs = snap.Without(ns.Addrs, func(a snap.Addr) bool { return a.Index == index })
	ns.Routes = snap.Without(ns.Routes, func(r snap.Route) bool { return onlyBy(r, index) })
	ns.Neighs = snap.Without(ns.Neighs, func(n snap.Neigh) bool { return n.Index == index })
	ns.FDB = snap.Without(ns.FDB, func(f snap.FDBEntry) bool { return f.Index == index || f.Master == index })
	ns.Vlans = snap.Without(ns.Vlans, func(v snap.BridgeVlan) bool { return v.Index == index })
	ns.Links = snap.Without(ns.Links, func(l snap.Link) bool { return l.Index == index })
	maps.DeleteFunc(ns.OwnSysctls(), func(k, _ string) bool { return SysctlDev(k) == name })
}

// Inverse makes the device anew, with the same ifindex, addresses, ports and
// routes.
func (o *LinkDel) Inverse(s *snap.Snapshot) (Op, error) {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return nil, err
	}
	switch l.Kind {
	case "veth", "bridge", "dummy", "macvlan", "ipvlan", "vlan", "vxlan", "vrf":
	default:
		return nil, fmt.Errorf("%s is a %s, which can't be made again: %w", l.Name, l.Kind, snap.ErrUnsupported)
	}
	add := &LinkAdd{Where: o.Where, Link: bare(*l), Up: l.Up}
	if br := ns.LinkAt(l.Master); br != nil {
		add.Master = br.Name
	}
	pns, p := peerOf(s, ns, l)
	switch {
	case p == nil:
	case l.Kind == "veth":
		add.Peer = &LinkEnd{Where: At(s, pns.ID), Name: p.Name, MAC: p.MAC, Index: p.Index, Up: p.Up}
	default:
		add.Lower = p.Name
		if pns.ID != ns.ID {
			w := At(s, pns.ID)
			add.LowerIn = &w
		}
	}
	back := []Op{add}
	for i := range ns.Links {
		if ns.Links[i].Master == l.Index {
			back = append(back, &LinkMaster{Where: o.Where, Name: ns.Links[i].Name, Master: l.Name})
		}
	}
	if p != nil && l.Kind == "veth" {
		if br := pns.LinkAt(p.Master); br != nil {
			back = append(back, &LinkMaster{Where: add.Peer.Where, Name: p.Name, Master: br.Name})
		}
	}
	for k, v := range ns.Sysctls {
		if d, ok := ns.Sysctls[strings.Replace(k, "/"+o.Name+"/", "/default/", 1)]; SysctlDev(k) == o.Name && (!ok || d != v) {
			back = append(back, &SysctlSet{Where: o.Where, Key: k, Value: v})
		}
	}
	snap.Sort(back, byShell)
	full, err := backWith(s, ns.ID, o, o.Where, back...)
	if err != nil || p == nil || pns.ID == ns.ID {
		return full, err
	}
	c := s.Clone()
	if err := seq(o, full).On(c); err != nil {
		return nil, err
	}
	return seq(append([]Op{full}, amends(add.Peer.Where, pns, c.Ns(pns.ID))...)...), nil
}

// byShell orders the settings of a device that is made anew: the device, its
// ports, then sysctls by name.
func byShell(a, b Op) int {
	weight := func(o Op) int {
		switch o.(type) {
		case *LinkAdd:
			return 0
		case *LinkMaster:
			return 1
		}
		return 2
	}
	if d := weight(a) - weight(b); d != 0 {
		return d
	}
	x, okx := a.(*SysctlSet)
	y, oky := b.(*SysctlSet)
	if okx && oky {
		return sysctlOrder(x.Key, y.Key)
	}
	return 0
}

// bare is a device without what it has by its surroundings.
func bare(l snap.Link) snap.Link {
	l.Up, l.LowerUp, l.Running, l.OperState = false, false, false, ""
	l.Master, l.Port, l.Peer, l.PeerNSID, l.PeerNetns = 0, nil, 0, 0, ""
	l.Stats, l.Qdiscs, l.Filters, l.Offload, l.XDP, l.AltName = nil, nil, nil, nil, nil, nil
	l.Broadcast = false
	return l
}

func (o *LinkDel) Risk() Risk { return RiskHigh }

func (o *LinkDel) Object(s *snap.Snapshot) any {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return nil
	}
	return []any{l.Index, l.Kind}
}

func (o *LinkDel) Holds(s *snap.Snapshot) bool {
	ns, err := o.find(s)
	return err == nil && ns.Link(o.Name) == nil
}
