package checks

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3202: one of the servers that a rule spreads connections over is not there.
//
// A DNAT rule, or several with a share each, choose one of several servers for each
// connection: by number in turn, by chance, by a hash (nft's numgen and jhash, iptables'
// statistic match, kube-proxy). One of the addresses in there is in a network of this
// host, and nobody has it any more: that share of the connections hangs, and the next try
// may work.
//
// See it by hand:
//
//	iptables -t nat -S; nft list ruleset     the addresses behind numgen, jhash, statistic
//	ip neigh show to ADDRESS                 FAILED
//
// False positives: none known. A server beyond this host is not judged.
//
// Sources: nft(8), numgen; iptables-extensions(8), statistic; kubernetes pkg/proxy/iptables/proxier.go
func nd3202() diag.Check {
	return diag.Check{
		Code: "ND3202", Name: "dead-backend", Severity: diag.Error, Since: "0.2",
		Title:  "A rule spreads connections over several servers, and one of them is nobody's",
		After:  []diag.Code{"ND5106", "ND2102"},
		Detect: detectND3202,
		Fix:    fixND3202,
	}
}

func detectND3202(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Kind == "tried" || f.Kind == "twin" || !sometimes(f.Trace) {
			continue
		}
		for _, m := range deadBackends(in, f.Trace) {
			key := diag.Subject{Kind: "rule", Name: string(m.Place.Ref), Netns: m.Place.Ref.Netns()}
			if at := sameSubject(out, key); at >= 0 {
				out[at].Covers.Traces = append(out[at].Covers.Traces, i)
				continue
			}
			text, source := ruleText(in, key.Netns, m.Place)
			place := fmt.Sprintf("%s %s rule %d", m.Place.Table, m.Place.Chain, m.Place.Num)
			out = append(out, diag.Finding{
				Summary:  fmt.Sprintf("some of the connections %s → %s are sent to %s, an address that nobody has, by %s (%s)", f.From, f.To, m.AddrMin, place, in.Owner(rulePlace(in, m.Place.Ref))),
				Cause:    fmt.Sprintf("%s is one of the servers that %s spreads connections over, and nothing of this host or of its containers has that address", m.AddrMin, place),
				Subject:  key,
				Evidence: []diag.Evidence{ev(source, text, m.Place.Ref)},
				Covers:   diag.Cover{Traces: []int{i}},
				Advice:   fmt.Sprintf("take %s out of the servers there, or start the one that had it", m.AddrMin),
				Weight:   84,
			})
		}
	}
	return out
}

// sometimes says whether a flow gets through by some ways, and by others it does not.
func sometimes(t *sim.Trace) bool {
	has := func(works bool) bool {
		return slices.ContainsFunc(t.Branches, func(b sim.BranchOutcome) bool {
			return works == (b.Verdict == sim.Delivered) && b.Verdict != sim.Unknown
		})
	}
	return t.Verdict == sim.Unknown && has(true) && has(false)
}

// deadBackends are the mappings of a flow's destination, one of several, to addresses of
// networks here that nobody has.
func deadBackends(in *diag.Input, t *sim.Trace) []*rules.NAT {
	var out []*rules.NAT
	for _, list := range [][]rules.NAT{t.NATed, t.MayNAT} {
		for k := range list {
			m := &list[k]
			if !m.Src && m.AddrMin.IsValid() && m.Place != nil && rulePlace(in, m.Place.Ref) != nil && len(in.Graph.Owners(m.AddrMin)) == 0 && ofThisHost(in, m.AddrMin) {
				out = append(out, m)
			}
		}
	}
	return out
}

// ofThisHost says whether an address is in a network of an engine, or on a bridge of the
// host that is no uplink: whoever has it is here.
func ofThisHost(in *diag.Input, ip netip.Addr) bool {
	if in.Graph.NetworkOfAddr(ip) != nil {
		return true
	}
	host := in.Snap.HostNs()
	return host != nil && slices.ContainsFunc(host.Addrs, func(a snap.Addr) bool {
		l := host.LinkAt(a.Index)
		return a.Prefix.Contains(ip) && l != nil && l.Bridge != nil && !uplink(in, host, l)
	})
}

// fixND3202 takes the address out: the element of a map that holds it, a rule that is
// about nothing else, or the choice, where one server is left.
func fixND3202(in *diag.Input, f *diag.Finding) []fixups.Op {
	w := rulePlace(in, snap.Ref(f.Subject.Name))
	if w == nil || slices.Contains(managed, in.Owner(w)) {
		return nil
	}
	t := in.Flows[f.Covers.Traces[0]].Trace
	for _, m := range deadBackends(in, t) {
		if m.Place.Ref != w.Ref {
			continue
		}
		for _, ops := range [][]fixups.Op{withoutElement(in, w, m.AddrMin), onlyOne(in, w, m.AddrMin, t), withoutShare(in, w)} {
			if len(ops) > 0 && healAll(in, f.Covers.Traces, ops) {
				return ops
			}
		}
	}
	return nil
}

// withoutElement takes an address out of the named map that a rule chooses from.
func withoutElement(in *diag.Input, w *sim.Where, dead netip.Addr) []fixups.Op {
	for _, e := range w.Rule.Rule.Exprs {
		l, ok := e.(*snap.Lookup)
		if !ok || l.Dreg == snap.NoReg {
			continue
		}
		set := w.Rule.TableP.Set(l.Set)
		if set == nil || set.Anonymous || set.Constant {
			continue
		}
		for _, el := range set.Elements {
			if bytes.HasPrefix(el.Data, dead.AsSlice()) {
				return []fixups.Op{&fixups.SetElementDel{ChainRef: fixups.ChainAt(in.Snap, w.Netns, w.Rule.TableP, w.Rule.Chain), Set: l.Set, Fields: set.Fields, Elements: []snap.Element{el}}}
			}
		}
	}
	return nil
}

// choice is nft's way to choose a server by number, as the kernel's rules are printed.
var choice = regexp.MustCompile(`dnat (ip6? )?to (numgen|jhash|symhash) [^{]*map \{[^}]*\}`)

// onlyOne writes the rule anew with the one server that is left.
func onlyOne(in *diag.Input, w *sim.Where, dead netip.Addr, t *sim.Trace) []fixups.Op {
	var left []netip.Addr
	for _, list := range [][]rules.NAT{t.NATed, t.MayNAT} {
		for _, m := range list {
			if m.Place != nil && m.Place.Ref == w.Ref && m.AddrMin != dead && !slices.Contains(left, m.AddrMin) {
				left = append(left, m.AddrMin)
			}
		}
	}
	ops := withoutRule(in, w)
	if len(left) != 1 || len(ops) != 1 {
		return nil
	}
	del, ok := ops[0].(*fixups.RuleDelete)
	if !ok || !choice.MatchString(del.Text) {
		return nil
	}
	text := choice.ReplaceAllString(del.Text, "dnat ${1}to "+left[0].String())
	return append(ops, &fixups.RuleInsert{ChainRef: del.ChainRef, Position: w.Rule.Num, Text: strings.ReplaceAll(text, left[0].String()+" :", left[0].String()+":")})
}

// withoutShare deletes a rule of iptables that is one server's share.
func withoutShare(in *diag.Input, w *sim.Where) []fixups.Op {
	if w.Rule.System == snap.NFT {
		return nil
	}
	return withoutRule(in, w)
}
