package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd7103: a rule keeps "fragmentation needed" from its receiver.
//
// Senders learn the size that a path carries from ICMP: "fragmentation needed", in
// IPv6 "packet too big". A rule that drops all ICMP drops these, too: as soon as one
// hop out there carries less than the sender's own device, uploads hang after the
// first segments, while ping and small requests work. The errors belong to a
// connection (state RELATED), so a rule that lets those pass needs no hole for ICMP.
//
// See it by hand:
//
//	iptables -L DOCKER-USER -nv              the DROP for icmp counts
//	ip route get DST                         no "mtu" learned
//	ping -M do -s 1472 DST
//
// Sources: RFC 2923 section 2.1; RFC 4890 section 4.3.1; RFC 1191
func nd7103() diag.Check {
	return diag.Check{
		Code: "ND7103", Name: "pmtu-blind", Severity: diag.Error, Since: "0.1",
		Title:  "A firewall rule drops the ICMP errors that path MTU discovery needs",
		After:  []diag.Code{"ND3102", "ND3103", "ND3101"},
		Detect: detectND7103,
		Fix:    fixND7103,
	}
}

// blinded is an outgoing flow whose ICMP errors are dropped.
type blinded struct {
	where *sim.Where
	flows []int
}

func blind(in *diag.Input) []blinded {
	var out []blinded
	from := map[string]bool{}
	for i := range in.Flows {
		f := &in.Flows[i]
		who := fmt.Sprint(f.Flow.From, f.Flow.Dst.Is4()) // each family has its own rules and its own errors
		if f.Flow.Proto != snap.TCP || f.Outside || f.Broken() || f.Trace.LeftHost == "" || !f.Asked && (f.Kind != "egress" || from[who]) {
			continue
		}
		from[who] = !f.Asked || from[who]
		t := in.World.TooBig(f.Flow)
		if t == nil || t.Verdict != sim.Dropped || t.Where == nil || t.Where.Rule == nil || !owned(in, t.Where.Netns) {
			continue
		}
		known := false
		for k := range out {
			if out[k].where.Ref == t.Where.Ref && out[k].where.Netns == t.Where.Netns {
				out[k].flows, known = append(out[k].flows, i), true
			}
		}
		if !known {
			out = append(out, blinded{t.Where, []int{i}})
		}
	}
	return out
}

func detectND7103(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, b := range blind(in) {
		f := &in.Flows[b.flows[0]]
		text, source := in.RuleLine(b.where)
		fd := diag.Finding{
			Summary:  fmt.Sprintf("%s (%s) drops the ICMP errors for %s → %s: path MTU discovery is blind, large uploads can hang: %s", diag.ChainName(b.where), in.Owner(b.where), f.From, f.To, text),
			Cause:    fmt.Sprintf("%q of %s matches ICMP \"fragmentation needed\" messages", text, diag.ChainName(b.where)),
			Subject:  diag.Subject{Kind: "rule", Name: string(b.where.Ref), Netns: b.where.Netns},
			Evidence: []diag.Evidence{ev(source, text, b.where.Ref)},
			Covers:   diag.Cover{Traces: b.flows},
			Advice:   "let RELATED pass before the rule; the rule may stay for the rest of ICMP",
			Weight:   45,
		}
		measured(in, &fd)
		unheard(in, &fd, b.where)
		out = append(out, fd)
	}
	return out
}

// fixND7103 lets errors of open connections pass before the rule.
func fixND7103(in *diag.Input, f *diag.Finding) []fixups.Op {
	for _, b := range blind(in) {
		if string(b.where.Ref) == f.Subject.Name && b.where.Netns == f.Subject.Netns {
			num := 0
			if !b.where.Rule.Policy {
				num = b.where.Rule.Num
			}
			return established(in, b.where.Netns, b.where.Rule, num)
		}
	}
	return nil
}

// unheard makes it a proved one when such an error about a segment that was sent
// was seen to die where the rule is.
func unheard(in *diag.Input, f *diag.Finding, at *sim.Where) {
	for i := range in.Witnesses {
		w := &in.Witnesses[i]
		if w.Probe == nil || !slices.Contains(f.Covers.Traces, w.Of) {
			continue
		}
		for _, x := range w.Probe.Seen {
			if x.What == snap.SeenDrop && x.ICMP != nil && x.ICMP.MTU > 0 && x.Netns == at.Netns && x.Reason == at.Reason {
				f.Confidence = diag.Proved
				f.Evidence = append(f.Evidence, ev(fmt.Sprintf("probe %d", w.Probe.ID), fmt.Sprintf("%d bytes were sent on a connection %s → %s; %s said that %d fit, and that was dropped in %s on %s (%s)",
					w.Flow.Size, w.From, w.To, x.Src.Addr(), x.ICMP.MTU, x.Netns, x.Device, x.Reason), snap.RefProbe(w.Probe.ID)))
				if o := in.MTUOption(&in.Flows[w.Of], x.ICMP.MTU); o != "" {
					f.Advice += fmt.Sprintf("; or keep the sender's packets at %d bytes: %s", x.ICMP.MTU, o)
				}
				return
			}
		}
	}
}
