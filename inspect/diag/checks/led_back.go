package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ledBack are the flows that a rule leads back to their own sender, whose stack takes no
// packet from an address of its own: it has to get another source on the way.
func ledBack(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		m := backToSender(in, f)
		if m == nil || f.Excused {
			continue
		}
		subject := diag.Subject{Kind: "address", Name: m.AddrMin.String(), Netns: m.Place.Ref.Netns()}
		if k := sameSubject(out, subject); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, i)
			continue
		}
		text, source := ruleText(in, subject.Netns, m.Place)
		place := fmt.Sprintf("%s %s rule %d", m.Place.Table, m.Place.Chain, m.Place.Num)
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s (%s) leads %s → %s back to %s itself, and no rule masquerades that", place, in.Owner(rulePlace(in, m.Place.Ref)), f.From, f.To, f.From),
			Cause:    fmt.Sprintf("the packet comes back with %s as its source, and a stack takes no packet from an address of its own", m.AddrMin),
			Subject:  subject,
			Evidence: []diag.Evidence{ev(source, text, m.Place.Ref), ev("trace", f.Trace.Where.Detail, f.Trace.Where.Ref)},
			Covers:   diag.Cover{Traces: []int{i}},
			Advice:   "kube-proxy marks such packets in the server's own chain (KUBE-SEP-…: -s SERVER -j KUBE-MARK-MASQ), and writes that again when it syncs; Docker and CNI's portmap have a rule like the one below",
			Weight:   76,
		})
	}
	return out
}

// backToSender is the mapping by which a flow was led to its own sender, which then
// refused its own source (net/ipv4/fib_frontend.c: __fib_validate_source); nil for none.
func backToSender(in *diag.Input, f *diag.FlowCase) *rules.NAT {
	w, ns := f.Trace.Where, in.Netns(f.Flow.From)
	if !f.Broken() || w == nil || w.Reason != "IP_LOCAL_SOURCE" || w.Netns != f.Flow.From || ns == nil {
		return nil
	}
	for k := range f.Trace.NATed {
		m := &f.Trace.NATed[k]
		if m.Src || m.Place == nil || rulePlace(in, m.Place.Ref) == nil {
			continue
		}
		if _, own := ns.HasAddr(m.AddrMin); own {
			return m
		}
	}
	return nil
}

// masqueradeBack gives what an address sends to itself another source.
func masqueradeBack(in *diag.Input, f *diag.Finding) []fixups.Op {
	ip, err := netip.ParseAddr(f.Subject.Name)
	host := in.Netns(f.Subject.Netns)
	if err != nil || host == nil {
		return nil
	}
	t, c := natPostrouting(host, snap.FamilyOf(ip))
	if t == nil {
		return nil
	}
	one := netip.PrefixFrom(ip, ip.BitLen()).String()
	ops := []fixups.Op{&fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, host.ID, t, c.Name), Args: []string{"-s", one, "-d", one, "-j", "MASQUERADE"}}}
	if !healAll(in, f.Covers.Traces, ops) {
		return nil
	}
	return ops
}
