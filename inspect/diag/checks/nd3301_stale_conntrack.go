package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3301: an old connection entry keeps a client on an address that no longer serves.
//
// NAT rules are asked for the first packet of a flow only; its conntrack entry
// decides for the rest. A UDP client that goes on sending from one port keeps the
// entry alive for ever: after its container was recreated with another address, or
// when the port was published only after the client had begun to send, its packets
// still go where they went, while new clients are served. In the same way a container
// that sent before its masquerade rule was there goes on with its own address.
//
// See it by hand:
//
//	conntrack -L -p udp --orig-port-dst PORT      the reply's source is not the container
//	conntrack -D -p udp --orig-port-dst PORT      mends it
//
// Sources: net/netfilter/nf_nat_core.c: nf_nat_inet_fn; moby#8795, moby#44752, moby#53384
func nd3301() diag.Check {
	return diag.Check{
		Code: "ND3301", Name: "stale-conntrack", Severity: diag.Error, Since: "0.1",
		Title:  "A stale conntrack entry keeps a UDP client on an old address",
		Needs:  []string{"conntrack"},
		Detect: detectND3301,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			var ops []fixups.Op
			for _, s := range in.StaleConns() {
				if staleSubject(&s) == f.Subject.Name {
					ops = append(ops, &fixups.ConntrackDelete{Where: at(in, in.Snap.Host.Netns), Conn: *s.Conn})
				}
			}
			return ops
		},
	}
}

// staleSubject names the published port of an entry.
func staleSubject(s *diag.StaleConn) string {
	if s.Port == nil {
		return fmt.Sprintf("%s/udp/%s", s.Conn.Orig.Dst, s.Container.Name)
	}
	return fmt.Sprintf("%d/%s/%s", s.Port.HostPort, s.Port.Proto, s.Container.Name)
}

func detectND3301(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	var out []diag.Finding
	for _, s := range in.StaleConns() {
		line := fmt.Sprintf("udp src=%s dst=%s sport=%d dport=%d src=%s", s.Conn.Orig.Src.Addr(), s.Conn.Orig.Dst.Addr(), s.Conn.Orig.Src.Port(), s.Conn.Orig.Dst.Port(), s.Conn.Reply.Src.Addr())
		port := s.Conn.Orig.Dst.Port()
		e := ev(fmt.Sprintf("conntrack -L -p udp --orig-port-dst %d", port), line, s.Ref)
		subject := diag.Subject{Kind: "port", Name: staleSubject(&s), Netns: host.ID}
		if k := sameSubject(out, subject); k >= 0 {
			if len(out[k].Evidence) < 8 {
				out[k].Evidence = append(out[k].Evidence, e)
			}
			continue
		}
		f := diag.Finding{
			Summary:    fmt.Sprintf("a stale conntrack entry sends %s's packets for port %d/udp to %s; %s, which publishes it, is %s", s.Conn.Orig.Src, port, s.Conn.Reply.Src.Addr(), s.Container.Name, addresses(s.Container)),
			Cause:      fmt.Sprintf("the conntrack entry was made before %s had its present address, and goes on for as long as the client sends", s.Container.Name),
			Subject:    subject,
			Evidence:   []diag.Evidence{e},
			Confidence: diag.Predicted,
			Advice:     fmt.Sprintf("conntrack -D -p udp --orig-port-dst %d", port),
			Weight:     54,
		}
		if s.Port == nil {
			f.Summary = fmt.Sprintf("a stale conntrack entry sends packets of %s from %s to %s/udp out of this host with that very address, and no answer comes; those of a new flow are masqueraded", s.Container.Name, s.Conn.Orig.Src, s.Conn.Orig.Dst)
			f.Cause = "the conntrack entry was made before the rule that masquerades was there, and goes on for as long as the container sends"
			if as := s.Conn.Reply.Dst.Addr(); as != s.Conn.Orig.Src.Addr() {
				f.Summary = fmt.Sprintf("a stale conntrack entry sends packets of %s from %s to %s/udp out of this host as %s, an address that it has not; those of a new flow get another one", s.Container.Name, s.Conn.Orig.Src, s.Conn.Orig.Dst, as)
				f.Cause = "the conntrack entry was made when this host had that address, and goes on for as long as the container sends"
			}
			f.Advice = fmt.Sprintf("conntrack -D -p udp -s %s --orig-port-dst %d", s.Conn.Orig.Src.Addr(), port)
		}
		if now := in.Tracks(host.ID, s.Conn.Proto, s.Conn.Orig); now != nil && now.Reply.Src == s.Conn.Reply.Src {
			f.Confidence = diag.Proved
			t := "asked for this client's packets, the kernel has " + diag.TrackText(now)
			if now.TimeoutMs > s.Conn.TimeoutMs {
				t += "; it was used since it was first looked at"
			}
			f.Evidence = append(f.Evidence, ev("conntrack -G", t, s.Ref))
		}
		for i := range in.Flows {
			if fl := &in.Flows[i]; fl.Flow.Dport == port && (s.Port != nil || fl.Flow.From == s.Container.Netns) && fl.Flow.Proto == snap.UDP && fl.Asked {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		out = append(out, f)
	}
	return out
}
