package fixups

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Listener is where a socket listens.
type Listener struct {
	Where `json:"where"`
	Proto snap.Proto     `json:"proto"`
	Addr  netip.AddrPort `json:"addr"`
}

func (l Listener) is(x snap.Socket) bool {
	return x.Proto == l.Proto && x.Local == l.Addr && !x.Remote.IsValid()
}

// Listeners are the sockets of one process.
type Listeners []Listener

// places are the namespaces that they are in.
func (l Listeners) places() []Where {
	var out []Where
	for i := range l {
		if !slices.Contains(out, l[i].Where) {
			out = append(out, l[i].Where)
		}
	}
	return out
}

// missing are those that a snapshot lacks.
func (l Listeners) missing(s *snap.Snapshot) []Listener {
	var out []Listener
	for _, x := range l {
		ns := s.Ns(x.ID)
		if ns == nil {
			continue // not read: nothing is claimed
		}
		if !slices.ContainsFunc(ns.Sockets, x.is) {
			out = append(out, x)
		}
	}
	return out
}

// open has a process of that name listen at all of them.
func (l Listeners) open(s *snap.Snapshot, name string) error {
	proc := &snap.Process{Name: name, State: "S"}
	for _, x := range l {
		ns := s.Ns(x.ID)
		if ns == nil {
			return snap.NotFoundf("no namespace %s", x.ID)
		}
		if slices.ContainsFunc(ns.Sockets, x.is) {
			continue
		}
		y := snap.Socket{Proto: x.Proto, Family: snap.IPv4, Local: x.Addr, Process: proc}
		if x.Addr.Addr().Is6() {
			y.Family, y.V6Only = snap.IPv6, true
		}
		ns.Sockets = append(ns.Sockets, y)
	}
	return nil
}

// shut takes them away.
func (l Listeners) shut(s *snap.Snapshot) error {
	for _, x := range l {
		if ns := s.Ns(x.ID); ns != nil {
			if ns.Sockets = snap.Without(slices.Clone(ns.Sockets), x.is); len(ns.Sockets) == 0 {
				ns.Sockets = nil
			}
		}
	}
	return nil
}
