package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// answeredElsewhere are the UDP requests to an address of this host that conntrack has
// without an answer, beside a packet from the same port of another address of this host's
// to whoever asked: the program answered, and as nobody asked that address, it is dropped.
// Both are kept for some time (nf_conntrack_proto_udp.c: udp_timeouts, 30 s).
func answeredElsewhere(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	lone := func(c *snap.Conn) bool {
		return c.Proto == snap.UDP.Number() && !slices.Contains(c.Status, "seen-reply")
	}
	var out []diag.Finding
	for i := range host.Conntrack {
		ask := &host.Conntrack[i]
		// Peers that send to each other from one port, as tunnels and NTP do, take each other's
		// packets from any address; so may what is no program's, but the kernel's own.
		if _, own := host.HasAddr(ask.Orig.Dst.Addr()); !own || !lone(ask) || ask.Reply.Src != ask.Orig.Dst || ask.Orig.Src.Port() == ask.Orig.Dst.Port() || !anywhere(host, ask.Orig.Dst.Port()) {
			continue
		}
		for k := range host.Conntrack {
			got := &host.Conntrack[k]
			_, own := host.HasAddr(got.Orig.Src.Addr())
			if !own || !lone(got) || got.Orig.Dst != ask.Orig.Src || got.Orig.Src.Port() != ask.Orig.Dst.Port() || got.Orig.Src == ask.Orig.Dst {
				continue
			}
			asked, from, port := ask.Orig.Dst.Addr(), got.Orig.Src.Addr(), ask.Orig.Dst.Port()
			x := diag.Finding{
				Summary:  fmt.Sprintf("this host answers %s from %s, not from %s, which was asked at port %d/udp: %s drops the answer", ask.Orig.Src.Addr(), from, asked, port, ask.Orig.Src.Addr()),
				Cause:    fmt.Sprintf("the program is bound to all addresses, so the kernel gives its answer the address of the route back, %s; who asks takes an answer from whom it asked only", from),
				Subject:  diag.Subject{Kind: "port", Name: fmt.Sprintf("%s/udp", ask.Orig.Dst), Netns: host.ID},
				Evidence: []diag.Evidence{ev("conntrack -L -p udp", diag.TrackText(ask)+"; "+diag.TrackText(got), snap.RefNetns(host.ID)), ev("ss -lnup", socketList(host, snap.UDP), snap.RefNetns(host.ID))},
				Advice:   fmt.Sprintf("bind the program to %s (a socket for each address, if it needs several), or ask it at %s; programs that mean it take the address from IP_PKTINFO", asked, from),
				Weight:   62, Confidence: diag.Proved,
			}
			for n := range in.Flows {
				if f := &in.Flows[n]; f.Flow.Dst == asked && f.Flow.Proto == snap.UDP && f.Flow.Dport == port {
					x.Covers.Traces = append(x.Covers.Traces, n)
				}
			}
			if sameSubject(out, x.Subject) < 0 {
				out = append(out, x)
			}
		}
	}
	return out
}

// anywhere says whether a program has a UDP port at all addresses of a namespace.
func anywhere(ns *snap.Netns, port uint16) bool {
	return slices.ContainsFunc(ns.Sockets, func(s snap.Socket) bool {
		return s.Proto == snap.UDP && s.Local.Port() == port && s.Local.Addr().IsUnspecified() && s.Process != nil
	})
}
