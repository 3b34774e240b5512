package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// lengthen puts what is stopped by the last word of a list on that list, in a rule before
// it, and the last word stays: for everybody where the list asks for no sender. The advice
// alone where it does, and nobody has said who is meant to come in from outside.
func lengthen(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	p := w.Rule
	stays := fmt.Sprintf("rules before %s name what may pass; it stops the rest, and stays: see whether one of them was to take this, too", diag.ChainName(w))
	if ops := neighbourly(in, f, w); len(ops) > 0 {
		f.Advice = stays
		return ops
	}
	sender := func(h *sim.Hop) netip.Addr { return h.Src.Addr() }
	bySender := slices.ContainsFunc(p.ChainP.Rules[:p.Num-1], func(r snap.Rule) bool {
		return slices.ContainsFunc(strings.Fields(firewall.RuleText(in.Netns(w.Netns), p.TableP, p.ChainP, &r)), func(word string) bool {
			return word == "-s" || word == "saddr" || word == "--src-range"
		})
	})
	if !bySender {
		sender = func(*sim.Hop) netip.Addr { return netip.Addr{} }
	}
	ops := enlistAs(in, f, w, false, func(*sim.Hop) []fixups.Op { return nil }, sender)
	if len(ops) > 0 || !slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return in.Flows[i].Asked || !in.Flows[i].Outside }) {
		f.Advice = stays
	}
	return ops
}

// neighbourly lets the questions for neighbours in where a list stops them and not the
// flow itself: IPv6 puts them in ICMPv6 (RFC 4861, sections 4.3 and 4.4).
func neighbourly(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	asked := in.Flows[f.Covers.Traces[0]].Trace.Where
	if asked.Behind == nil || asked.Behind.Rule != w.Rule || w.Device == "" || !in.Flows[f.Covers.Traces[0]].Flow.Dst.Is6() {
		return nil
	}
	var ops []fixups.Op
	for _, t := range []struct {
		nft string
		num int
	}{{"nd-neighbor-solicit", 135}, {"nd-neighbor-advert", 136}} {
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, w.Rule.TableP, w.Rule.Chain), Position: w.Rule.Num + len(ops)}
		if w.Rule.System == snap.NFT {
			op.Text = fmt.Sprintf("iifname %q icmpv6 type %s accept", w.Device, t.nft)
		} else {
			op.Args = strings.Fields(fmt.Sprintf("-i %s -p ipv6-icmp -m icmp6 --icmpv6-type %d -j ACCEPT", w.Device, t.num))
		}
		ops = append(ops, op) // the answers to this host's own questions come in there, too
	}
	if !healAll(in, f.Covers.Traces, ops) {
		return nil
	}
	return ops
}
