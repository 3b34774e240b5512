package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkARP switches ARP on or off on a device: IFF_NOARP, net/core/dev.c.
type LinkARP struct {
	Where  `json:"where"`
	Name   string `json:"name"`
	Enable bool   `json:"on"`
}

func (*LinkARP) Kind() string { return "link-arp" }

func (o *LinkARP) Describe() string {
	return fmt.Sprintf("switch ARP %s on %s%s", onOff(o.Enable), o.Name, o.in())
}

func (o *LinkARP) Shell() []string {
	return []string{o.line("ip", "link", "set", "dev", o.Name, "arp", onOff(o.Enable))}
}

func (o *LinkARP) On(s *snap.Snapshot) error {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return err
	}
	if l.NoARP == o.Enable { // the kernel forgets the device's neighbours: net/ipv4/arp.c: arp_netdev_event
		ns.Neighs = snap.Without(ns.Neighs, func(n snap.Neigh) bool { return n.Index == l.Index && n.State != "permanent" })
	}
	l.NoARP = !o.Enable
	return nil
}

func (o *LinkARP) Inverse(s *snap.Snapshot) (Op, error) {
	_, l, err := o.link(s, o.Name)
	if err != nil || l.NoARP != o.Enable {
		return nil, err
	}
	return &LinkARP{Where: o.Where, Name: o.Name, Enable: !o.Enable}, nil
}

func (o *LinkARP) Risk() Risk { return RiskLow }

func (o *LinkARP) Object(s *snap.Snapshot) any {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return nil
	}
	return []any{l.Index, l.Kind, l.NoARP}
}

func (o *LinkARP) Holds(s *snap.Snapshot) bool {
	_, l, err := o.link(s, o.Name)
	return err == nil && l.NoARP != o.Enable
}
