package app

import (
	"fmt"
	"net/netip"
	"slices"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Stand is something that answers in place of an application.
type Stand interface {
	// Where is its address; beside says that the wanted port was taken.
	Where() (at netip.AddrPort, beside bool)
	Close() error
}

// standIn begins to answer where the flow would arrive, so that what is proved
// is the network alone. It works on a snapshot that has the socket, too. The
// caller calls done, also when there is an error.
func (t *tracer) standIn(q *ask) (s *v1.StandIn, done func(), err error) {
	done = func() {}
	f := q.diag.Flow
	switch {
	case f == nil:
		return nil, done, nil
	case t.c.NoProbe || t.c.Snapshot != "" || t.a.StandIn == nil:
		return nil, done, Usagef("--stand-in listens on this machine, and so needs probes")
	case f.Proto != snap.TCP && f.Proto != snap.UDP:
		return nil, done, Usagef("--stand-in is for tcp and udp")
	}
	// Where it arrives the model knows, after all translations; when it does not
	// get there, its owner's namespace will do.
	id, at := q.to.Netns, netip.AddrPortFrom(f.Dst, f.Dport)
	if tr := sim.New(t.s).Trace(*f); tr.Arrived != "" && tr.ArrivedAs.IsValid() {
		id, at = tr.Arrived, tr.ArrivedAs
	}
	n := t.s.Ns(id)
	if n == nil || !n.Class.Ours() {
		return nil, done, Usagef("--stand-in: no namespace of this host holds %s", f.Dst)
	}
	k, err := t.a.StandIn(n, f.Proto, at)
	if err != nil {
		return nil, done, err
	}
	done = func() { _ = k.Close() } // it ends with this process at the latest
	where, beside := k.Where()
	if beside {
		if at != netip.AddrPortFrom(f.Dst, f.Dport) {
			return nil, done, Usagef("--stand-in: port %d of %s is taken, and another one is not published", at.Port(), id)
		}
		t.a.note("port %d of %s is taken: the stand-in answers beside it, on %d", f.Dport, id, where.Port())
		f.Dport = where.Port()
		q.to.Port = int(where.Port())
	}
	all := netip.IPv4Unspecified()
	family := snap.IPv4
	if at.Addr().Is6() {
		all, family = netip.IPv6Unspecified(), snap.IPv6
	}
	with := t.s.Clone()
	wn := with.Ns(id)
	wn.Sockets = append(slices.Clone(wn.Sockets), snap.Socket{Proto: f.Proto, Family: family, Local: netip.AddrPortFrom(all, where.Port()), Process: &snap.Process{Name: "netdoctor's stand-in"}})
	t.s, t.world = with, nil
	return &v1.StandIn{Netns: id, Address: fmt.Sprint(where), Beside: beside}, done, nil
}
