package diag

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestProve(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{
		{ID: "host", Addrs: []snap.Addr{{Prefix: netip.MustParsePrefix("192.0.2.1/24")}}, Ruleset: snap.Ruleset{Tables: []snap.Table{{
			System: snap.NFT, Family: snap.IPv4, Name: "corp",
			Chains: []snap.Chain{{Name: "fwd", Hook: "forward", Rules: []snap.Rule{
				{Num: 1, Exprs: snap.Exprs{&snap.Counter{}, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "accept"}}}},
				{Num: 2, Exprs: snap.Exprs{&snap.Counter{}, &snap.Immediate{Dreg: snap.VerdictReg, Verdict: &snap.Verdict{Code: "drop"}}}},
			}}},
		}}}},
		{ID: "web", RouteAnswers: []snap.RouteAnswer{{Dst: netip.MustParseAddr("192.0.2.8"), Errno: "ENETUNREACH"}}},
		{ID: "db"},
	}}
	model := func(v sim.Verdict, netns, layer, reason string) *sim.Trace {
		return &sim.Trace{Verdict: v, Where: &sim.Where{Netns: netns, Layer: layer, Reason: reason}}
	}
	rule := func(n int, grew ...int64) snap.Counted {
		return snap.Counted{Netns: "host", Ref: snap.RefRule("host", &s.Netns[0].Ruleset.Tables[0], "fwd", n), Sent: []int{7, 5}, Grew: grew}
	}
	drop := func(netns, reason string) *snap.Seen {
		return &snap.Seen{What: snap.SeenDrop, Netns: netns, Reason: reason}
	}
	delivered := &sim.Trace{Verdict: sim.Delivered}
	corp := &s.Netns[0].Ruleset.Tables[0]
	rejects := model(sim.Dropped, "host", "netfilter", "NETFILTER_DROP")
	rejects.Where.Rule = &rules.Place{System: snap.NFT, Family: snap.IPv4, Table: "corp", Chain: "fwd", Num: 2, Rule: &corp.Chains[0].Rules[1], ChainP: &corp.Chains[0], TableP: corp}
	noWay, back := model(sim.Dropped, "web", "route", "ENETUNREACH"), model(sim.Dropped, "db", "socket", "NO_SOCKET")
	noWay.Where.Reply, back.Where.Reply = true, true
	later := *rejects
	later.Later = sim.LaterAll
	after := func(outcome string, watched bool, seen ...snap.Seen) *snap.Probe {
		return &snap.Probe{Kind: "tcp", Outcome: outcome, Watched: watched, Seen: seen}
	}
	came := func(src string) []snap.Seen {
		return []snap.Seen{{What: snap.SeenReceive, Netns: "web", Src: netip.MustParseAddrPort(src)}}
	}
	for _, tt := range []struct {
		name    string
		tr      *sim.Trace
		p       *snap.Probe
		verdict string // "" nothing is proved
		where   string // namespace, and the rule's number
		differs bool
	}{
		{"no probe", delivered, nil, "", "", false},
		{"a probe that did not work", delivered, &snap.Probe{Kind: "tcp", Outcome: "error"}, "", "", false},
		{"both say delivered", delivered, &snap.Probe{Kind: "tcp", Outcome: "answered"}, "delivered", "", false},
		{"a bridge that is down, in newer kernels' words", model(sim.Dropped, "host", "bridge", "NOT_SPECIFIED"), &snap.Probe{Kind: "tcp", Outcome: "timeout", Watched: true, Died: drop("host", "BRIDGE_INGRESS_STP_STATE")}, "dropped", "host", false},
		{"delivered against the model", model(sim.Dropped, "host", "route", ""), &snap.Probe{Kind: "tcp", Outcome: "answered"}, "delivered", "", true},
		{"taken by a proxy, and its container refuses", &sim.Trace{Verdict: sim.Refused, Where: &sim.Where{Netns: "web", Layer: "socket"}, Proxy: &sim.Trace{Verdict: sim.Refused}}, &snap.Probe{Kind: "tcp", Outcome: "answered"}, "", "", false},
		{"silence, and nobody watched", delivered, &snap.Probe{Kind: "udp", Outcome: "timeout"}, "", "", false},
		{"no answer, and nobody knows where", model(sim.Dropped, "host", "route", ""), &snap.Probe{Kind: "tcp", Outcome: "timeout"}, "dropped", "", false},
		{"it died where the model says", model(sim.Dropped, "host", "netfilter", "NETFILTER_DROP"), &snap.Probe{Kind: "udp", Outcome: "timeout", Watched: true, Died: drop("host", "NETFILTER_DROP")}, "dropped", "host", false},
		{"it died elsewhere", model(sim.Dropped, "host", "netfilter", "NETFILTER_DROP"), &snap.Probe{Kind: "tcp", Outcome: "timeout", Watched: true, Died: drop("db", "IP_RPFILTER")}, "dropped", "db", true},
		{"it died for another reason", model(sim.Dropped, "host", "route", "IP_RPFILTER"), &snap.Probe{Kind: "tcp", Outcome: "timeout", Watched: true, Died: drop("host", "NETFILTER_DROP")}, "dropped", "host", true},
		{"a counter names the rule", delivered, &snap.Probe{Kind: "tcp", Outcome: "timeout", Counted: []snap.Counted{rule(1, 7, 5), rule(2, 7, 5)}}, "dropped", "host rule 2", true},
		{"a counter of a silent datagram", delivered, &snap.Probe{Kind: "udp", Outcome: "timeout", Counted: []snap.Counted{rule(2, 7, 5)}}, "dropped", "host rule 2", true},
		{"a counter that others raise, too", delivered, &snap.Probe{Kind: "tcp", Outcome: "timeout", Counted: []snap.Counted{rule(2, 9, 5)}}, "dropped", "", true},
		{"copies to all ports, and the model names one of them", model(sim.Dropped, "web", "link", "OTHERHOST"), &snap.Probe{Kind: "tcp", Outcome: "timeout", Watched: true, Died: drop("db", "OTHERHOST"), Seen: []snap.Seen{*drop("web", "OTHERHOST"), *drop("db", "OTHERHOST")}}, "dropped", "web", false},
		{"copies to all ports, and the model names none of them", model(sim.Dropped, "host", "link", "OTHERHOST"), &snap.Probe{Kind: "tcp", Outcome: "timeout", Watched: true, Died: drop("db", "OTHERHOST"), Seen: []snap.Seen{*drop("web", "OTHERHOST"), *drop("db", "OTHERHOST")}}, "dropped", "db", true},
		{"held for a neighbour", model(sim.Dropped, "host", "neigh", "NEIGH_FAILED"), &snap.Probe{Kind: "tcp", Outcome: "timeout", Watched: true, Seen: []snap.Seen{{What: snap.SeenReceive, Netns: "host"}}}, "dropped", "host", false},
		{"a reset, and the model has a rule that sends such", rejects, &snap.Probe{Kind: "tcp", Outcome: "refused"}, "", "", false},
		{"a reset, and that rule counted", rejects, &snap.Probe{Kind: "tcp", Outcome: "refused", Counted: []snap.Counted{rule(2, 7, 5)}}, "dropped", "host rule 2", false},
		{"a reset of the stack, and it was seen", rejects, &snap.Probe{Kind: "tcp", Outcome: "refused", Watched: true, Died: drop("db", "NO_SOCKET")}, "refused", "db", true},
		{"the stack's error was not sent", model(sim.Refused, "db", "socket", "NO_SOCKET"), &snap.Probe{Kind: "udp", Outcome: "timeout", Watched: true, Died: drop("db", "NO_SOCKET")}, "refused", "db", false},
		{"the error is of the host that rejects", model(sim.Dropped, "host", "netfilter", "NETFILTER_DROP"), &snap.Probe{Kind: "tcp", Outcome: "rejected", By: netip.MustParseAddr("192.0.2.1")}, "dropped", "host", false},
		{"the error is of somebody else", model(sim.Dropped, "host", "netfilter", "NETFILTER_DROP"), &snap.Probe{Kind: "tcp", Outcome: "rejected", By: netip.MustParseAddr("192.0.2.9")}, "dropped", "", false},
		{"a datagram that came in, and the kernel has no route for an answer", noWay, &snap.Probe{Kind: "udp", Outcome: "timeout", Watched: true, Seen: came("192.0.2.8:9")}, "dropped", "web", false},
		{"a datagram that came in, and the kernel has such a route", noWay, &snap.Probe{Kind: "udp", Outcome: "timeout", Watched: true, Seen: came("192.0.2.9:9")}, "", "", false},
		{"an answer from somebody else", back, &snap.Probe{Kind: "udp", From: "db", Outcome: "timeout", Strange: netip.MustParseAddrPort("192.0.2.9:53")}, "dropped", "db", false},
		{"the handshake was answered, and nobody watched what came after it", &later, after("answered", false), "", "", false},
		{"the handshake was answered, and what came after it died where the model says", &later, after("answered", true, *drop("host", "NETFILTER_DROP")), "dropped", "host rule 2", false},
		{"it died elsewhere, which is of another packet", &later, after("answered", true, *drop("db", "NETFILTER_DROP")), "", "", false},
		{"what came after it was rejected, and the sender told", &later, after("refused", true, *drop("host", "NETFILTER_DROP")), "dropped", "host rule 2", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := (&Input{Snap: s}).Prove(&FlowCase{Trace: tt.tr, Probe: tt.p})
			if got == nil {
				if tt.verdict != "" {
					t.Fatalf("nothing proved, want %s", tt.verdict)
				}
				return
			}
			where := ""
			if w := got.Where; w != nil {
				where = w.Netns
				if w.Rule != nil {
					where += " rule " + string(rune('0'+w.Rule.Num))
				}
			}
			if got.Verdict != tt.verdict || where != tt.where || (got.Differs != "") != tt.differs {
				t.Errorf("proved %s at %q, differs %q; want %s at %q, differs %v", got.Verdict, where, got.Differs, tt.verdict, tt.where, tt.differs)
			}
		})
	}
}

// A full queue is told of by the stack's own counter alone: the kernel frees the
// SYN as one that was served.
func TestProveNamesTheListenersOverflow(t *testing.T) {
	t.Parallel()
	s := &snap.Snapshot{Netns: []snap.Netns{{ID: "host", Sockets: []snap.Socket{{Proto: snap.TCP, Queue: 2, Backlog: 1}}}}}
	w := &sim.Where{Netns: "host", Cause: sim.CauseNoAnswer, Ref: snap.RefItem("host", "socket", 0)}
	p := &snap.Probe{
		Kind: "tcp", Outcome: "timeout", Watched: true, Seen: []snap.Seen{{What: snap.SeenReceive, Netns: "host", Device: "eth0"}},
		Counted: []snap.Counted{{Netns: "host", Name: snap.ListenOverflows, Sent: []int{7, 5}, Grew: []int64{7, 5}}},
	}
	got := (&Input{Snap: s}).Prove(&FlowCase{Trace: &sim.Trace{Verdict: sim.Dropped, Where: w}, Probe: p})
	if got == nil || got.Where != w || !strings.Contains(got.Detail, "TcpExtListenOverflows of host grew by 12") {
		t.Errorf("proved %+v, want the overflow that was counted", got)
	}
}
