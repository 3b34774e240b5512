package probe

import (
	"context"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Identity tells the packets of one probe from all others: the namespace that
// they start in and a source port, or ICMP id, that nothing else in it uses.
type Identity struct {
	From *snap.Netns
	ICMP bool // ID is an ICMP id
	ID   uint16
	Dst  netip.AddrPort
	// Arrives says that it came in from beyond this host. The packet that the
	// kernel made the arriving one a copy of is freed on lo, and is none.
	Arrives bool
}

// Observer watches probes on their way. It must not touch the machine.
type Observer interface {
	// Follow begins to look out for the packets of a probe. It is called
	// before the first one is sent. nil: this one is not watched.
	Follow(Identity) Follower
}

// Follower follows one probe.
type Follower interface {
	// Dead ends when the packet, or the answer to it, is known to have died:
	// waiting any longer is of no use.
	Dead() context.Context
	// End stops looking, and puts what was seen into the finished probe.
	End(*snap.Probe)
}

// follow asks the observer, when there is one, to look out for a probe.
func (p *Prober) follow(id Identity) Follower {
	if p.Observer == nil {
		return nil
	}
	return p.Observer.Follow(id)
}

// ended puts what was seen into a finished probe.
func ended(f Follower, r *snap.Probe) {
	if f == nil {
		return
	}
	f.End(r)
	if r.Outcome == snap.Refused && r.Died != nil && r.Died.Reason == "NETFILTER_DROP" && !r.Died.Answer {
		// A reset by iptables' REJECT looks like that of a closed port; only
		// where the question died tells them apart.
		r.Outcome, r.Detail = snap.Rejected, "reset by the firewall of "+r.Died.Netns
	}
}

// dead says whether the packet is known to have died.
func dead(f Follower) bool { return f != nil && f.Dead().Err() != nil }
