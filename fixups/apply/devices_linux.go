package apply

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// known says whether a device's ifindex was asked for already. It stays what it
// was as long as the device is not deleted, and ifindices are not given out
// twice (net/core/dev.c: dev_index_reserve).
func (m *machine) known(w fixups.Where, name string) bool {
	n := m.base.Ns(m.idOf(w))
	return n != nil && n.Link(name) != nil
}

func (m *machine) forget(w fixups.Where, name string) {
	if n := m.base.Ns(m.idOf(w)); n != nil {
		n.Links = snap.Without(n.Links, func(l snap.Link) bool { return l.Name == name })
	}
}

func (m *machine) idOf(w fixups.Where) string {
	if w.Host {
		return m.base.Host.Netns
	}
	return w.ID
}

// devices are those whose ifindices an operation needs.
func devices(op fixups.Op) []fixups.LinkEnd {
	dev := func(w fixups.Where, names ...string) (out []fixups.LinkEnd) {
		for _, n := range names {
			if n != "" {
				out = append(out, fixups.LinkEnd{Where: w, Name: n})
			}
		}
		return out
	}
	switch o := op.(type) {
	case *fixups.LinkAdd:
		at := o.Where
		if o.LowerIn != nil {
			at = *o.LowerIn
		}
		return append(dev(o.Where, o.Master), dev(at, o.Lower)...)
	case *fixups.LinkSet:
		return dev(o.Where, o.Name)
	case *fixups.LinkMTU:
		return dev(o.Where, o.Name)
	case *fixups.LinkAttr:
		return dev(o.Where, o.Name)
	case *fixups.LinkARP:
		return dev(o.Where, o.Name)
	case *fixups.XDPSet:
		return dev(o.Where, o.Name)
	case *fixups.LinkMAC:
		return dev(o.Where, o.Name)
	case *fixups.LinkMaster:
		return dev(o.Where, o.Name, o.Master)
	case *fixups.LinkDel:
		return dev(o.Where, o.Name)
	case *fixups.PortSet:
		return dev(o.Where, o.Name)
	case *fixups.AddrAdd:
		return dev(o.Where, o.Dev)
	case *fixups.AddrDel:
		return dev(o.Where, o.Dev)
	case *fixups.RouteAdd:
		return dev(o.Where, o.Devs...)
	case *fixups.RouteDel:
		return dev(o.Where, o.Devs...)
	case *fixups.NeighSet:
		return dev(o.Where, o.Dev)
	case *fixups.NeighDel:
		return dev(o.Where, o.Dev)
	case *fixups.FDBSet:
		return dev(o.Where, o.Dev)
	case *fixups.FDBDel:
		return dev(o.Where, o.Dev)
	}
	return nil
}

// know asks the kernel for one device and puts what it is called into the base.
func (m *machine) know(ctx context.Context, w fixups.Where, name string) error {
	c, err := m.conn(ctx, w, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	// netdevice(7) answers without the lock that all changes of devices take.
	req, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(c.fd, unix.SIOCGIFINDEX, req)
	}
	if err != nil {
		return kernel.NetlinkError(fmt.Sprintf("device %s in %s", name, w.ID), err)
	}
	index := int(req.Uint32())
	id := m.idOf(w)
	n := m.base.Ns(id)
	if n == nil {
		m.base.Netns = append(m.base.Netns, snap.Netns{ID: id, Path: w.Path, Class: snap.ClassAttached, Sysctls: map[string]string{}})
		n = m.base.Ns(id)
	}
	if l := n.Link(name); l != nil {
		l.Index = index
		return nil
	}
	n.Links = append(n.Links, snap.Link{Index: index, Name: name, PeerNSID: -1})
	return nil
}
