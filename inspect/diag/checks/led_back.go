package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// cniMarks is the chain in which CNI's portmap plugin marks what has to be masqueraded, and
// cniMasq the one in which it masquerades that (plugins/meta/portmap/portmap_iptables.go).
const (
	cniMarks = "CNI-HOSTPORT-SETMARK"
	cniMasq  = "CNI-HOSTPORT-MASQ"
)

// ledBack are the flows that a rule leads on with a source that their receiver can't answer:
// its own address, where they come back to who sent them, or this host's loopback address.
// They have to get another source on the way.
func ledBack(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		m, self := unanswerable(in, f)
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
		x := diag.Finding{
			Summary:  fmt.Sprintf("%s (%s) leads %s → %s back to %s itself, and no rule masquerades that", place, in.Owner(rulePlace(in, m.Place.Ref)), f.From, f.To, f.From),
			Cause:    fmt.Sprintf("the packet comes back with %s as its source, and a stack takes no packet from an address of its own", m.AddrMin),
			Subject:  subject,
			Evidence: []diag.Evidence{ev(source, text, m.Place.Ref), ev("trace", f.Trace.Where.Detail, f.Trace.Where.Ref)},
			Covers:   diag.Cover{Traces: []int{i}},
			Advice:   "kube-proxy marks such packets in the server's own chain (KUBE-SEP-…: -s SERVER -j KUBE-MARK-MASQ), and writes that again when it syncs; Docker and CNI's portmap have a rule like the one below",
			Weight:   76,
		}
		if !self {
			x.Summary = fmt.Sprintf("%s (%s) leads %s → %s to %s with a loopback address as its source: no rule masquerades that", place, in.Owner(rulePlace(in, m.Place.Ref)), f.From, f.To, m.AddrMin)
			x.Cause = "a stack takes no packet from a loopback address that comes in by another device (RFC 1122, section 3.2.1.3)"
			if c := markedFor(in.Netns(subject.Netns)); c != nil {
				x.Summary += fmt.Sprintf("; %s marks it, and %s has no rule for that mark", cniMarks, cniMasq)
			}
			x.Advice = "who writes such rules has one for what this host itself sends: Docker's and CNI's masquerade it"
		}
		out = append(out, x)
	}
	return out
}

// unanswerable is the mapping by which a flow was led to somebody who then refused its
// source, and whether that is the sender itself (net/ipv4/fib_frontend.c:
// __fib_validate_source) or somebody who got it from a loopback address
// (net/ipv4/route.c: ip_route_input_slow); nil for none.
func unanswerable(in *diag.Input, f *diag.FlowCase) (m *rules.NAT, self bool) {
	w, ns := f.Trace.Where, in.Netns(f.Flow.From)
	if !f.Broken() || w == nil || ns == nil {
		return nil, false
	}
	self = w.Reason == "IP_LOCAL_SOURCE" && w.Netns == f.Flow.From
	loopback := w.Cause == sim.CauseMartian && (w.Reason == "IP_LOCALNET" && w.Netns != f.Flow.From || w.Reason == "NEIGH_FAILED") && f.Flow.From == in.Snap.Host.Netns && f.Flow.Dst.IsLoopback()
	if !self && !loopback {
		return nil, false
	}
	for k := range f.Trace.NATed {
		m := &f.Trace.NATed[k]
		if m.Src || m.Place == nil || rulePlace(in, m.Place.Ref) == nil {
			continue
		}
		if _, own := ns.HasAddr(m.AddrMin); own == self {
			return m, self
		}
	}
	return nil, false
}

// markedFor is CNI's chain that masquerades what is marked, where it has no rule; nil
// otherwise.
func markedFor(host *snap.Netns) *snap.Chain {
	if t, _ := natPostrouting(host, snap.IPv4); t != nil {
		if c, m := t.Chain(cniMasq), t.Chain(cniMarks); c != nil && m != nil && len(c.Rules) == 0 && len(m.Rules) > 0 {
			return c
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
	if flow := in.Flows[f.Covers.Traces[0]].Flow; flow.Dst.IsLoopback() {
		args := []string{"-s", "127.0.0.0/8", "-d", one, "-j", "MASQUERADE"}
		if m := markedFor(host); m != nil {
			c, args = m, []string{"-m", "mark", "--mark", "0x2000/0x2000", "-j", "MASQUERADE"} // portmap's own, by its default
		}
		if ops := []fixups.Op{&fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, host.ID, t, c.Name), Args: args}}; healAll(in, f.Covers.Traces, ops) {
			return ops
		}
		return nil
	}
	ops := []fixups.Op{&fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, host.ID, t, c.Name), Args: []string{"-s", one, "-d", one, "-j", "MASQUERADE"}}}
	if !healAll(in, f.Covers.Traces, ops) {
		return nil
	}
	return ops
}
