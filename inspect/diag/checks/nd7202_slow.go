package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd7202: it works, and takes its time.
//
// The flow works, and a probe of it was slow where packets of one host take
// microseconds: a first SYN that was lost and sent again after a second, a neighbour
// that answers ARP after seconds, a queue that holds packets back, a program that
// does not answer at once, a name server near the end of what libc waits.
// Programs time out now and then, and nothing is down.
//
// See it by hand:
//
//	nstat -az TcpRetransSegs TcpExtTCPSynRetrans
//	ip -s neigh show; tc -s qdisc show; ss -lnt
//
// False positives: a machine that is busy while it is looked at.
//
// Sources: net/ipv4/tcp_timer.c: tcp_retransmit_timer; net/core/neighbour.c: neigh_timer_handler; resolv.conf(5)
func nd7202() diag.Check {
	return diag.Check{
		Code: "ND7202", Name: "slow-answer", Severity: diag.Warning, Since: "0.1",
		Title: "An answer comes, but late",
		After: []diag.Code{"ND7201", "ND5109"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				slow := in.Slow(f.Probe)
				if !f.Asked || len(slow) == 0 {
					continue
				}
				fd := diag.Finding{
					Summary:    fmt.Sprintf("%s → %s works, but slowly: %s", f.From, f.To, strings.Join(slow, "; ")),
					Cause:      slow[len(slow)-1],
					Subject:    diag.Subject{Kind: "host", Name: f.From + " → " + f.To, Netns: f.Flow.From},
					Covers:     diag.Cover{Traces: []int{i}},
					Confidence: diag.Proved,
					Advice:     "run it again; if it stays, look at the place that is named",
					Weight:     5,
				}
				for _, t := range slow {
					fd.Evidence = append(fd.Evidence, ev(fmt.Sprintf("probe %d", f.Probe.ID), t, snap.RefProbe(f.Probe.ID)))
				}
				out = append(out, fd)
			}
			return append(out, slowNames(in)...)
		},
	}
}

// slowNames are the servers that took their time for a name. One that is waited for
// in seconds each time makes every name late: so long it takes again only after it
// was asked in vain (diag.Input.Doubts).
func slowNames(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Names {
		n := &in.Names[i]
		if n.Path == nil || n.Path.Verdict == names.Timeout {
			continue // ND4301 says it
		}
		for _, s := range n.Path.Servers {
			for k := range in.Snap.Probes {
				p := &in.Snap.Probes[k]
				slow := in.Slow(p)
				if p.DNS == nil || p.From != s.AskedFrom || p.Dst != s.Addr || len(slow) == 0 {
					continue
				}
				if p.Sent > 1 && slices.ContainsFunc(n.Path.Servers, func(x names.Server) bool { return !x.Reach.Known }) {
					continue // a rule with a rate may have had the first
				}
				subject := diag.Subject{Kind: "resolver", Name: s.Addr.Addr().String()}
				if at := sameSubject(out, subject); at >= 0 {
					if f := &out[at]; !slices.Contains(f.Covers.Names, i) {
						f.Covers.Names = append(f.Covers.Names, i)
					}
					continue
				}
				f := diag.Finding{
					Summary:    fmt.Sprintf("%s answers %s for %s, but slowly: %s", s.Addr.Addr(), in.Who(s.AskedFrom), p.DNS.Name, strings.Join(slow, "; ")),
					Cause:      slow[0],
					Subject:    subject,
					Covers:     diag.Cover{Names: []int{i}},
					Confidence: diag.Proved,
					Evidence:   []diag.Evidence{ev(fmt.Sprintf("dig @%s %s", s.Addr.Addr(), p.DNS.Name), slow[0], snap.RefProbe(p.ID))},
					Advice:     "ask it several times; give programs a nearer server, or one that answers (--dns, \"dns\" in daemon.json)",
					Weight:     5,
				}
				if diag.SlowServer(p) {
					f.Severity = diag.Error
				}
				out = append(out, f)
			}
		}
	}
	return out
}
