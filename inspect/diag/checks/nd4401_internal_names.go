package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4401: an internal network's members get outside names answered.
//
// A container that may not send a packet to the world can still talk to it by names:
// data goes out in the labels that it asks for, and comes back in the answers, when
// something forwards its questions. Docker before 25.0.5 (and 23.0.11) did so from the
// host's namespace where the host's own name server is at a loopback address, as with
// systemd-resolved.
//
// See it by hand:
//
//	docker exec NAME nslookup example.com            must not be answered
//	docker exec NAME cat /etc/resolv.conf            ExtServers: [host(127.0.0.53)]
//
// Sources: GHSA-mq39-4gv4-mvpx (CVE-2024-29018); aardvark-dns 1.11.0 release notes
func nd4401() diag.Check {
	return diag.Check{
		Code: "ND4401", Name: "internal-names", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "Containers of an internal network get names of the world answered",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Sealed {
				n := &in.Sealed[i]
				s := forwarder(in, n)
				if s == nil {
					continue
				}
				f := diag.Finding{
					Summary:    fmt.Sprintf("%s is on internal networks only, and its questions for outside names are forwarded to %s from %s", n.From, s.Addr, in.Who(s.AskedFrom)),
					Cause:      "the resolver that it asks forwards to a server that the container itself must not reach",
					Subject:    diag.Subject{Kind: "resolver", Name: n.From, Netns: n.Ask.Netns},
					Confidence: diag.Predicted,
					Flows:      []diag.FlowRef{{From: n.From, To: "outside names"}},
					Evidence:   []diag.Evidence{ev("cat /etc/resolv.conf", fmt.Sprintf("upstream %s, asked from %s", s.Addr, s.AskedFrom), n.Because[0])},
					Advice:     "upgrade Docker; until then make its containers again with --dns and an address that answers nothing, which is then asked from the container's own namespace",
					Weight:     38,
				}
				if answersNames(s) {
					f.Confidence = diag.Proved
					f.Evidence = append(f.Evidence, ev(fmt.Sprintf("probe %d", s.Probe.ID), "NS . is answered", snap.RefProbe(s.Probe.ID)))
				}
				out = append(out, f)
			}
			return out
		},
	}
}

// forwarder is the server outside the container's networks that its questions
// get to; nil for none.
func forwarder(in *diag.Input, n *diag.NameCase) *names.Server {
	if p := n.Path.Problem; p != nil && p.Kind == names.InternalNetwork {
		return nil
	}
	c := in.Snap.Container(n.Ask.Container)
	for i := range n.Path.Servers {
		s := &n.Path.Servers[i]
		lo := s.AskedFrom == n.Ask.Netns && s.Addr.Addr().IsLoopback()
		if s.Role == "aardvark" && !answersNames(s) {
			continue // whether it forwards for an internal network depends on its release: 1.11 and later do not
		}
		if s.Reach.Known && s.Reach.OK && !lo && !(s.AskedFrom == n.Ask.Netns && onItsNetworks(in, c, s.Addr.Addr())) {
			return s
		}
	}
	return nil
}

// answersNames says that the server was seen to answer a question about the world.
func answersNames(s *names.Server) bool {
	return s.Probe != nil && s.Probe.Outcome == snap.Answered && s.Probe.DNS.RCode == "NOERROR"
}

// onItsNetworks says whether an address is of a member of one of its networks.
func onItsNetworks(in *diag.Input, c *snap.Container, a netip.Addr) bool {
	return slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool {
		n := in.Snap.NetworkOf(c.Engine, &e)
		return n != nil && slices.ContainsFunc(n.Pools, func(p snap.Pool) bool { return p.Subnet.Contains(a) && a != p.Gateway })
	})
}
