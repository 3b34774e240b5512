package checks

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// momentMs is more than a handshake takes that goes on.
const momentMs = 2_000

// halfOpen says of a flow from beyond this host, which by all that is known here arrives,
// that its connections do not get further than this host's first answer. nil otherwise.
func halfOpen(in *diag.Input, i int) *diag.Finding {
	f, host := &in.Flows[i], in.Snap.HostNs()
	if !f.Asked || !f.Outside || host == nil || f.Flow.Proto != snap.TCP || f.Trace.Verdict != sim.Delivered {
		return nil
	}
	// How long an entry lives whose answer has been seen (nf_conntrack_proto_tcp.c:
	// TCP_CONNTRACK_SYN_RECV); how old one is can't be told without it.
	v, _ := host.Sysctl("net/netfilter/nf_conntrack_tcp_timeout_syn_recv")
	lives, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return nil
	}
	k := slices.IndexFunc(host.Conntrack, func(c snap.Conn) bool {
		return c.Proto == snap.TCP.Number() && c.TCPState == "SYN_RECV" && c.Orig.Src.Addr() == f.Flow.Src && c.Orig.Dst.Addr() == f.Flow.Dst && c.Orig.Dst.Port() == f.Flow.Dport &&
			c.TimeoutMs < lives*1000-momentMs && !diag.OwnPort(c.Orig.Src.Port())
	})
	if k < 0 {
		return nil
	}
	c := &host.Conntrack[k]
	return &diag.Finding{
		Summary:    fmt.Sprintf("connections of %s to %s stay half open: this host's answer has left, and nothing that follows it comes in; it is lost beyond this host", f.From, f.To),
		Cause:      "a router or firewall beyond sees one direction only, as when requests pass it and answers do not (asymmetric routing), and drops what it takes for no connection of its own; or it drops the answer",
		Subject:    diag.Subject{Kind: "address", Name: f.Flow.Src.String()},
		Evidence:   []diag.Evidence{ev("conntrack -L -p tcp --state SYN_RECV", fmt.Sprintf("%s, for %d s", diag.TrackText(c), lives-c.TimeoutMs/1000), snap.RefNetns(host.ID))},
		Covers:     diag.Cover{Traces: []int{i}},
		Confidence: diag.Proved,
		Advice:     fmt.Sprintf("nothing on this host is wrong: see by which router %s sends to %s (ip route get there), and give it a route that leads here directly, or have that router leave such packets alone", f.Flow.Src, f.Flow.Dst),
		Weight:     40,
	}
}
