package shell

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ip reads ip(8).
func (r *reader) ip() (fixups.Op, error) {
	for r.more() && strings.HasPrefix(r.words[r.i], "-") {
		switch w, _ := r.next(""); w {
		case "-4":
			r.fam = snap.IPv4
		case "-6":
			r.fam = snap.IPv6
		case "-n", "-netns":
			name, err := r.next("the namespace")
			if err == nil {
				err = r.byName(name)
			}
			if err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("ip %s: %w", w, snap.ErrUnsupported)
		}
	}
	object, err := r.next("the object")
	if err != nil {
		return nil, err
	}
	switch object {
	case "link", "l":
		return r.link()
	case "address", "addr", "a":
		return r.addr()
	case "route", "ro", "r":
		return r.route()
	case "rule", "ru":
		return r.rule()
	case "neighbour", "neighbor", "neigh", "n":
		return r.neigh()
	case "netns":
		if !r.take("exec") {
			return nil, fmt.Errorf("of ip netns, exec is read here: %w", snap.ErrUnsupported)
		}
		name, err := r.next("the namespace")
		if err == nil {
			err = r.byName(name)
		}
		if err != nil {
			return nil, err
		}
		return r.inside()
	}
	return nil, fmt.Errorf("ip %s: %w", object, snap.ErrUnsupported)
}

// link reads ip-link(8): set and delete.
func (r *reader) link() (fixups.Op, error) {
	verb, err := r.next("what to do")
	if err != nil {
		return nil, err
	}
	set := verb == "set" || verb == "s"
	if !set && verb != "delete" && verb != "del" && verb != "d" || r.take("group") {
		return nil, fmt.Errorf("ip link %s: %w", verb, snap.ErrUnsupported)
	}
	r.take("dev")
	l, err := r.device()
	if err != nil {
		return nil, err
	}
	if !set {
		return &fixups.LinkDel{Where: r.where(), Name: l.Name}, nil
	}
	var ops fixups.Ops
	for r.more() {
		switch w, _ := r.next(""); w {
		case "up", "down":
			ops = append(ops, &fixups.LinkSet{Where: r.where(), Name: l.Name, Up: w == "up"})
		case "mtu":
			n, err := r.number("mtu", 16)
			if err != nil {
				return nil, err
			}
			ops = append(ops, &fixups.LinkMTU{Where: r.where(), Name: l.Name, MTU: int(n)})
		case "master":
			br, err := r.device()
			if err != nil {
				return nil, err
			}
			ops = append(ops, &fixups.LinkMaster{Where: r.where(), Name: l.Name, Master: br.Name})
		case "nomaster":
			ops = append(ops, &fixups.LinkMaster{Where: r.where(), Name: l.Name})
		default:
			return nil, fmt.Errorf("ip link set … %s: %w", w, snap.ErrUnsupported)
		}
	}
	return one(ops)
}

// addr reads ip-address(8): add and delete.
func (r *reader) addr() (fixups.Op, error) {
	verb, err := r.next("what to do")
	if err != nil {
		return nil, err
	}
	p, err := r.prefix(true)
	if err != nil {
		return nil, err
	}
	a := snap.Addr{Prefix: p}
	var dev *snap.Link
	for r.more() {
		switch w, _ := r.next(""); w {
		case "dev":
			dev, err = r.device()
		case "broadcast", "brd":
			if r.take("+") {
				if p.Addr().Is4() {
					a.Bcast = snap.LastAddr(p)
				}
				break
			}
			a.Bcast, err = r.address()
		case "scope":
			a.Scope, err = r.next("the scope")
		case "nodad", "noprefixroute":
			a.Flags = append(a.Flags, w)
		default:
			err = fmt.Errorf("ip addr … %s: %w", w, snap.ErrUnsupported)
		}
		if err != nil {
			return nil, err
		}
	}
	if dev == nil {
		return nil, fmt.Errorf("dev is missing")
	}
	switch verb {
	case "add", "a":
		return &fixups.AddrAdd{Where: r.where(), Dev: dev.Name, Addr: a}, nil
	case "delete", "del", "d":
		if p.IsSingleIP() { // ip(8) finds the address without its length
			for _, i := range r.ns.AddrsOf(dev.Index) {
				if i.Prefix.Addr() == p.Addr() {
					p = i.Prefix
				}
			}
		}
		return &fixups.AddrDel{Where: r.where(), Dev: dev.Name, Prefix: p}, nil
	}
	return nil, fmt.Errorf("ip addr %s: %w", verb, snap.ErrUnsupported)
}

// neigh reads ip-neighbour(8).
func (r *reader) neigh() (fixups.Op, error) {
	verb, err := r.next("what to do")
	if err != nil {
		return nil, err
	}
	e := snap.Neigh{State: "permanent"}
	e.Proxy = r.take("proxy")
	if e.IP, err = r.address(); err != nil {
		return nil, err
	}
	var dev *snap.Link
	for r.more() {
		switch w, _ := r.next(""); w {
		case "dev":
			dev, err = r.device()
		case "lladdr":
			e.MAC, err = r.next("the address")
		case "nud":
			e.State, err = r.next("the state")
		default:
			err = fmt.Errorf("ip neigh … %s: %w", w, snap.ErrUnsupported)
		}
		if err != nil {
			return nil, err
		}
	}
	if dev == nil {
		return nil, fmt.Errorf("dev is missing")
	}
	e.Index = dev.Index
	switch verb {
	case "add", "replace", "change":
		if e.Proxy {
			e.State = ""
		} else if e.MAC == "" {
			return nil, fmt.Errorf("lladdr is missing")
		}
		return &fixups.NeighSet{Where: r.where(), Dev: dev.Name, Neigh: e}, nil
	case "delete", "del":
		return &fixups.NeighDel{Where: r.where(), Dev: dev.Name, IP: e.IP, Proxy: e.Proxy}, nil
	}
	return nil, fmt.Errorf("ip neigh %s: %w", verb, snap.ErrUnsupported)
}

// address reads an address.
func (r *reader) address() (netip.Addr, error) {
	w, err := r.next("an address")
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(w)
	if err != nil {
		return a, fmt.Errorf("%q is no address", w)
	}
	return a, nil
}

// prefix reads a prefix, "default" or an address. own keeps the bits of the
// host's part.
func (r *reader) prefix(own bool) (netip.Prefix, error) {
	w, err := r.next("an address")
	if err != nil {
		return netip.Prefix{}, err
	}
	if a, err := netip.ParseAddr(w); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(w)
	if err != nil {
		return p, fmt.Errorf("%q is no address", w)
	}
	if !own && p != p.Masked() {
		return p, fmt.Errorf("%s has bits of a host: the kernel refuses it", w)
	}
	return p, nil
}
