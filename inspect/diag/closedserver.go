package diag

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// closedServers are the ways of containers to the name servers of this host that are
// out in the Internet: the only addresses there that are known to be somebody's. From
// 25.0 on Docker asks them out of the host's namespace, so that names resolve where
// the container itself is kept from a part of the world (moby
// daemon/libnetwork/resolver.go: dialExtDNS, HostLoopback). A rule about a protocol
// or port is somebody's will (all DNS has to go by a filter), so is one about that server
// alone (its names are to be asked of another), and so is what closes the world: only a
// place that stops all that is sent there and to the next address, and nothing that
// goes elsewhere, counts.
func (in *Input) closedServers() []FlowCase {
	var out []FlowCase
	r := in.Snap.Resolver("host")
	if r == nil {
		return nil
	}
	for _, a := range slices.Concat(r.ResolvConf.Nameservers, r.Upstreams) {
		if !a.Is4() || !a.IsGlobalUnicast() || private(a) || len(in.Graph.Owners(a)) > 0 {
			continue
		}
		for i := range in.Flows {
			f := in.Flows[i]
			if f.Kind != "egress" || f.Flow.Dst != netip.MustParseAddr(outsideWorld[0]) || slices.ContainsFunc(in.Flows, func(u FlowCase) bool {
				return u.Kind == "upstream" && u.Flow.From == f.Flow.From && u.Flow.Dst == a
			}) {
				continue
			}
			if f.Trace = in.World.Trace(f.Flow); !f.Works() {
				continue
			}
			f.To, f.Flow.Dst = a.String()+" (a name server of this host)", a
			if f.Trace = in.World.Trace(f.Flow); !f.stoppedHere() || f.Trace.Where.Reply {
				continue
			}
			all := true
			for _, other := range []sim.Flow{{Dst: a, Proto: snap.UDP, Dport: 53}, {Dst: a, Proto: snap.ICMP}, {Dst: a.Next(), Proto: snap.TCP, Dport: f.Flow.Dport}} {
				x := f.Flow
				x.Dst, x.Proto, x.Dport = other.Dst, other.Proto, other.Dport
				t := in.World.Trace(x)
				all = all && t.Verdict == f.Trace.Verdict && samePlace(t.Where, f.Trace.Where)
			}
			if all {
				out = append(out, f)
			}
		}
	}
	return out
}
