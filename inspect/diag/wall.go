package diag

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// walled says whether a flow between members of a network is stopped by a wall
// that the member it goes to has built for itself, a filter in its own namespace:
// one that keeps an echo out where nobody listens, or that lets some members in
// to the port and has nothing but its last word for the others. Of what is published
// for IPv6 see closed6.
func (in *Input) walled(f *FlowCase) bool {
	if f.Kind == "published" && f.Flow.Dst.Is6() {
		return in.closed6(f)
	}
	w := f.Trace.Where
	c := in.Snap.Container(f.Target)
	if f.Kind != "peer" || !f.Broken() || w == nil || w.Reply || w.Rule == nil || c == nil || w.Netns != c.Netns || w.Netns == in.Snap.Host.Netns {
		return false
	}
	if f.Flow.Proto == snap.ICMP {
		return true
	}
	if !w.Rule.Policy {
		if w.Rule.Rule == nil {
			return false
		}
		if _, asks := fromAny(*w.Rule.Rule); asks {
			return false // it is about this sender, and not about the rest
		}
	}
	return in.passes(f) != nil || in.forOthers(f)
}

// closed6 says whether what keeps a port published for IPv6 from being reached is no
// rule about that very port. Such a port is mostly served by the engine's proxy,
// behind the host's own INPUT: a host that is closed there keeps it out along with all
// else (ufw's default), and a program that takes IPv4 alone refuses it.
func (in *Input) closed6(f *FlowCase) bool {
	w := f.Trace.Where
	if !f.Broken() || Deaf(f.Trace) || byRules6(in.Snap.Container(f.Target)) {
		return false
	}
	if w == nil || w.Rule == nil || w.Reply || w.Rule.Policy {
		return true
	}
	other := f.Flow
	if other.Dport = 1; f.Flow.Dport == 1 { // tcpmux, RFC 1078, which nobody runs: what stops this one, too, is no rule about the port
		other.Dport = 2
	}
	t := in.World.Trace(other)
	return t.Where != nil && t.Where.Rule != nil && t.Where.Netns == w.Netns && t.Where.Ref == w.Ref
}

// bare says that a rule asks for nothing: it decides whatever comes.
func bare(r *snap.Rule) bool {
	if r == nil {
		return false
	}
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Counter, *snap.Log, *snap.Immediate, *snap.Reject:
		case *snap.Xt:
			if !x.Target {
				return false
			}
		default:
			return false
		}
	}
	return true
}
