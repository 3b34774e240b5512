package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3301: an old connection entry keeps a client on an address that no longer serves.
func nd3301() diag.Check {
	return diag.Check{
		Code: "ND3301", Name: "stale-conntrack", Severity: diag.Error, Since: "0.1",
		Title: "A stale conntrack entry keeps a UDP client on an old address",
		Doc: `NAT rules are asked for the first packet of a flow only; its conntrack entry
decides for the rest. A UDP client that goes on sending from one port keeps the
entry alive for ever: after its container was recreated with another address, or
when the port was published only after the client had begun to send, its packets
still go where they went, while new clients are served.

See it by hand:
    conntrack -L -p udp --orig-port-dst PORT      the reply's source is not the container
    conntrack -D -p udp --orig-port-dst PORT      mends it

Sources: net/netfilter/nf_nat_core.c: nf_nat_inet_fn; moby#8795, moby#44752, moby#53384`,
		Needs:  []string{"conntrack"},
		Detect: detectND3301,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			var ops []fixups.Op
			for _, s := range staleConns(in) {
				if s.subject() == f.Subject.Name {
					ops = append(ops, &fixups.ConntrackDelete{Where: at(in, in.Snap.Host.Netns), Conn: *s.conn})
				}
			}
			return ops
		},
	}
}

// staleConn is a UDP entry of the host to a published port that does not lead
// to the container that publishes it.
type staleConn struct {
	conn *snap.Conn
	ref  snap.Ref
	c    *snap.Container
	port *snap.Port
}

func (s *staleConn) subject() string {
	return fmt.Sprintf("%d/%s/%s", s.port.HostPort, s.port.Proto, s.c.Name)
}

// maxStale bounds the entries of one finding.
const maxStale = 256

func staleConns(in *diag.Input) []staleConn {
	host := in.Snap.HostNs()
	var out []staleConn
	if host == nil {
		return nil
	}
	for i := range host.Conntrack {
		x := &host.Conntrack[i]
		if x.Proto != snap.UDP.Number() || len(out) >= maxStale {
			continue
		}
		dst := x.Orig.Dst
		if _, mine := host.HasAddr(dst.Addr()); !mine || dst.Addr().IsLoopback() {
			continue
		}
		if _, own := host.HasAddr(x.Orig.Src.Addr()); own {
			continue // the host's own, and the proxy's
		}
		c, p, at := in.PublishedAt(dst.Addr(), dst.Port(), snap.UDP)
		if !at || holds(c, x.Reply.Src) || in.Graph.ContainerOfAddr(x.Orig.Src.Addr()) != nil {
			continue
		}
		if x.Reply.Src == dst && proxied(in, c) {
			continue // the userland proxy serves it
		}
		out = append(out, staleConn{x, snap.RefItem(host.ID, "conn", i), c, p})
	}
	return out
}

// holds says whether an address is one of a container's.
func holds(c *snap.Container, a netip.AddrPort) bool {
	return slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool {
		return e.IPv4.IsValid() && e.IPv4.Addr() == a.Addr() || e.IPv6.IsValid() && e.IPv6.Addr() == a.Addr()
	})
}

// proxied says whether the engine of a container runs userland proxies.
func proxied(in *diag.Input, c *snap.Container) bool {
	e := in.Snap.Engine(c.Engine)
	return e != nil && e.UserlandProxy
}

func detectND3301(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for _, s := range staleConns(in) {
		line := fmt.Sprintf("udp src=%s dst=%s sport=%d dport=%d src=%s", s.conn.Orig.Src.Addr(), s.conn.Orig.Dst.Addr(), s.conn.Orig.Src.Port(), s.conn.Orig.Dst.Port(), s.conn.Reply.Src.Addr())
		e := ev(fmt.Sprintf("conntrack -L -p udp --orig-port-dst %d", s.port.HostPort), line, s.ref)
		subject := diag.Subject{Kind: "port", Name: s.subject(), Netns: host.ID}
		if k := sameSubject(out, subject); k >= 0 {
			if len(out[k].Evidence) < 8 {
				out[k].Evidence = append(out[k].Evidence, e)
			}
			continue
		}
		f := diag.Finding{
			Summary:    fmt.Sprintf("a stale conntrack entry sends %s's packets for port %d/udp to %s; %s, which publishes it, is %s", s.conn.Orig.Src, s.port.HostPort, s.conn.Reply.Src.Addr(), s.c.Name, addresses(s.c)),
			Cause:      fmt.Sprintf("the conntrack entry was made before %s had its present address, and goes on for as long as the client sends", s.c.Name),
			Subject:    subject,
			Evidence:   []diag.Evidence{e},
			Confidence: diag.Predicted,
			Advice:     fmt.Sprintf("conntrack -D -p udp --orig-port-dst %d", s.port.HostPort),
			Weight:     54,
		}
		for i := range in.Flows {
			if fl := &in.Flows[i]; fl.Flow.Dport == s.port.HostPort && fl.Flow.Proto == snap.UDP && fl.Asked {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		out = append(out, f)
	}
	return out
}
