package checks

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fixSetElement takes out of a set, or out of a map of verdicts, what makes a rule
// match the flows: the rule and the rest of the set stay. nil when the rule looks
// nothing up, or the first flow would not pass it; what stands behind is another matter.
func fixSetElement(in *diag.Input, f *diag.Finding) []fixups.Op {
	var ops []fixups.Op
	for k, i := range f.Covers.Traces[:min(len(f.Covers.Traces), maxTried)] {
		if k > 0 && (len(ops) == 0 || getsPast(in, i, ops)) {
			continue
		}
		ops = append(ops, setElement(in, i, ops)...)
	}
	return ops
}

// setElement is one more element that keeps a flow from working; nil for none.
func setElement(in *diag.Input, i int, others []fixups.Op) []fixups.Op {
	fl := &in.Flows[i]
	w := diag.RulePlace(fl.Trace.Where)
	if w == nil || w.Rule == nil || w.Rule.Rule == nil || w.Rule.TableP == nil {
		return nil
	}
	for _, e := range w.Rule.Rule.Exprs {
		if ops := fixIPSet(in, i, w, e); len(ops) > 0 {
			return ops
		}
		l, ok := e.(*snap.Lookup)
		if !ok || l.Invert {
			continue
		}
		set := w.Rule.TableP.Set(l.Set)
		if set == nil || set.Constant || set.Anonymous {
			continue // what a rule holds itself can't be changed
		}
		for _, el := range blockers(set, addrsOf(fl)) {
			ops := []fixups.Op{&fixups.SetElementDel{ChainRef: fixups.ChainAt(in.Snap, w.Netns, w.Rule.TableP, w.Rule.Chain), Set: l.Set, Fields: set.Fields, Elements: []snap.Element{el}}}
			if getsPast(in, i, append(slices.Clone(others), ops...)) {
				return ops
			}
		}
	}
	return nil
}

// getsPast says whether a flow gets past the rule that stops it now.
func getsPast(in *diag.Input, flow int, ops []fixups.Op) bool {
	f := tried(in, flow, ops)
	if f == nil || f.Works() {
		return f != nil
	}
	was, is := diag.RulePlace(in.Flows[flow].Trace.Where), diag.RulePlace(f.Trace.Where)
	return was != nil && is != nil && was.Ref != is.Ref
}

// fixIPSet is fixSetElement for one match of a rule, where that is on a set of
// ipset(8), of addresses or networks alone.
func fixIPSet(in *diag.Input, flow int, w *sim.Where, e snap.Expr) []fixups.Op {
	x, ok := e.(*snap.Xt)
	if !ok || x.Target || x.Name != "set" {
		return nil
	}
	m, err := firewall.DecodeXt(x, w.Rule.Family == snap.IPv6)
	v, ok := m.(*firewall.SetMatch)
	if err != nil || !ok || v.Invert {
		return nil
	}
	s := in.Netns(w.Netns).IPSetAt(v.Index)
	if s == nil || s.Type != "hash:ip" && s.Type != "hash:net" {
		return nil
	}
	for i := range s.Entries {
		el := &s.Entries[i]
		for _, a := range addrsOf(&in.Flows[flow]) {
			if el.NoMatch || !el.IP.Contains(a) {
				continue
			}
			if ops := []fixups.Op{&fixups.IPSetMember{Where: at(in, w.Netns), Set: s.Name, Entry: *el}}; getsPast(in, flow, ops) {
				return ops
			}
		}
	}
	return nil
}

// showElement adds to the evidence which element of a set has the rule match.
func showElement(in *diag.Input, f *diag.Finding, w *sim.Where, op fixups.Op) {
	var source, text string
	switch o := op.(type) {
	case *fixups.SetElementDel:
		set := w.Rule.TableP.Set(o.Set)
		source = "nft list set " + w.Rule.TableP.Family.NFT() + " " + w.Rule.TableP.Name + " " + o.Set
		text = fmt.Sprintf("%s is in set %s", firewall.ElementText(in.Netns(w.Netns), set, &o.Elements[0]), o.Set)
	case *fixups.IPSetMember:
		source, text = "ipset list "+o.Set, fmt.Sprintf("%s is in the ipset %s", o.Entry.IP, o.Set)
	default:
		return
	}
	source = in.IPCommand(w.Netns, source)
	if !slices.ContainsFunc(f.Evidence, func(e diag.Evidence) bool { return e.Source == source }) {
		f.Evidence = append(f.Evidence, ev(source, text, w.Ref))
	}
}

// maxTried bounds how many elements of a set are tried that name no address of the flow.
const maxTried = 64

// blockers are the elements of a set that may stop a flow of these addresses: those
// that name one of them, else all of a small set of something else (ports, devices).
// In a map of verdicts only those that drop count.
func blockers(set *snap.Set, addrs []netip.Addr) []snap.Element {
	var named, all []snap.Element
	for _, el := range set.Elements {
		if el.CatchAll || el.Verdict != nil && el.Verdict.Code != "drop" || el.Verdict == nil && set.Map {
			continue
		}
		all = append(all, el)
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return covers(set, &el, a) }) {
			named = append(named, el)
		}
	}
	if len(named) > 0 || len(all) > maxTried {
		return named
	}
	return all
}

// addrsOf are the addresses that a flow has on its way.
func addrsOf(f *diag.FlowCase) []netip.Addr {
	var out []netip.Addr
	for _, a := range []netip.Addr{f.Flow.Dst, f.Flow.Src, f.Trace.ExitSrc.Addr(), f.Trace.ExitDst.Addr(), f.Trace.ArrivedAs.Addr()} {
		if a.IsValid() {
			out = append(out, a)
		}
	}
	if len(f.Trace.Forward) > 0 {
		if a := f.Trace.Forward[0].Src.Addr(); a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}

// covers says whether an element, or one field of it, is or spans an address. Each
// field of a concatenation is filled up to words (net/netfilter/nf_tables_api.c:
// nft_set_desc_concat).
func covers(set *snap.Set, e *snap.Element, a netip.Addr) bool {
	b, at := a.AsSlice(), 0
	fields := set.Fields
	if len(fields) == 0 {
		fields = []int{len(e.Key)}
	}
	for _, n := range fields {
		from, to := at, at+n
		at += (n + 3) &^ 3
		if n != len(b) || len(e.Key) < to {
			continue
		}
		if len(e.KeyEnd) >= to {
			if bytes.Compare(e.Key[from:to], b) <= 0 && bytes.Compare(b, e.KeyEnd[from:to]) <= 0 {
				return true
			}
		} else if bytes.Equal(e.Key[from:to], b) {
			return true
		}
	}
	return false
}

// exception accepts what comes in by the suffering flows' bridges, or else what goes
// out by their targets', right before a
// rule that drops whatever is left: the rule stays. Of the bridges by which a sender
// comes in one is taken that helps it; nil when none helps the first.
func exception(in *diag.Input, f *diag.Finding) []fixups.Op {
	w := diag.RulePlace(in.Flows[f.Covers.Traces[0]].Trace.Where)
	p := w.Rule
	var ops []fixups.Op
	looked := map[string]bool{} // by sender: all that one sends comes in the same way
	for _, i := range f.Covers.Traces {
		from := in.Flows[i].Flow.From
		if looked[from] {
			continue
		}
		looked[from] = true
		if len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		for _, by := range byBridge(in, i, p.System == snap.NFT) {
			op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: max(p.Num, 1)}
			switch {
			case p.System == snap.NFT:
				op.Text = by + " accept"
			case p.Chain == "DOCKER-USER": // the engine's own rules are to have their say
				op.Args = append(strings.Fields(by), "-j", "RETURN")
			default:
				op.Args = append(strings.Fields(by), "-j", "ACCEPT")
			}
			if more := append(slices.Clone(ops), op); heals(in, i, more) {
				ops = more
				break
			}
		}
		if len(ops) == 0 {
			return nil
		}
	}
	return ops
}

// byBridge matches what comes in by a flow's bridges, or else what goes out by those of
// the container that it is for.
func byBridge(in *diag.Input, flow int, nft bool) []string {
	var out []string
	match := func(nftKey, key string, devs []string) {
		for _, dev := range devs {
			if nft {
				out = append(out, nftKey+` "`+dev+`"`)
			} else {
				out = append(out, key+" "+dev)
			}
		}
	}
	match("iifname", "-i", bridgesOf(in, []int{flow}))
	if c := in.Snap.Container(in.Flows[flow].Target); c != nil {
		n := len(out)
		match("oifname", "-o", bridgesBeside(in, c.Netns, nil))
		for k := n; in.Flows[flow].Port != nil && k < len(out); k++ { // what is published, no more
			if out[k] += " ct status dnat"; !nft {
				out[k] = strings.Replace(out[k], "ct status dnat", "-m conntrack --ctstate DNAT", 1)
			}
		}
	}
	return out
}

// unban deletes fail2ban's rule for one address, which is what
// "fail2ban-client unban" does to the kernel.
func unban(in *diag.Input, w *sim.Where) []fixups.Op {
	p := w.Rule
	if op := deleteRule(in, w.Netns, p.System, p.Family, p.Table, p.Chain, p.Num); op != nil {
		return []fixups.Op{op}
	}
	return nil
}

// tidy takes away what a deleted rule leaves behind when it was the only one of
// its table: a table of nf_tables that a hand made for it, with chains that
// accept, and nothing else in it. One that carries a comment was made to stay, and one
// that a program holds (NFT_TABLE_F_OWNER) is not ours to delete.
func tidy(in *diag.Input, netns string, p *rules.Place) []fixups.Op {
	t := p.TableP
	if t == nil || p.System == snap.IPTablesLegacy || len(t.Sets)+len(t.Objects)+len(t.Flowtables) > 0 || t.Noted || t.Owner != 0 {
		return nil
	}
	var ops []fixups.Op
	for i := range t.Chains {
		c := &t.Chains[i]
		if n := len(c.Rules); n > 1 || n == 1 && c.Name != p.Chain || c.Unread != "" || c.Noted || c.Policy != "" && c.Policy != "accept" {
			return nil
		}
		ops = append(ops, &fixups.ChainDel{ChainRef: fixups.ChainAt(in.Snap, netns, t, c.Name)})
	}
	return append(ops, &fixups.TableDel{ChainRef: fixups.ChainAt(in.Snap, netns, t, p.Chain)})
}

// acceptPublished lets new connections to published ports pass a chain of the
// forward hook into the bridges of their containers: those alone that a DNAT
// rule has sent there.
func acceptPublished(in *diag.Input, f *diag.Finding, netns string, p *rules.Place) []fixups.Op {
	var ops []fixups.Op
	seen := map[string]bool{}
	for _, i := range f.Covers.Traces {
		fl := &in.Flows[i]
		c := in.Snap.Container(fl.Target)
		if c == nil || fl.Port == nil || len(fl.Trace.NATed) == 0 {
			continue
		}
		for _, a := range attachments(in) {
			if a.c != c || a.n.Bridge == "" || seen[a.n.Bridge] || !slices.ContainsFunc(fl.Trace.NATed, func(n rules.NAT) bool { return !n.Src && n.AddrMin == a.e.IPv4.Addr() }) {
				continue
			}
			seen[a.n.Bridge] = true
			op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, netns, p.TableP, p.Chain)}
			if p.System == snap.NFT {
				op.Text = fmt.Sprintf("oifname %q ct status dnat accept", a.n.Bridge)
			} else {
				op.Args = []string{"-o", a.n.Bridge, "-m", "conntrack", "--ctstate", "DNAT", "-j", "ACCEPT"}
			}
			ops = append(ops, op)
		}
	}
	return ops
}
