package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/intent"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// managed are the owners whose rules are written by a program from its own
// configuration: what is changed in the kernel comes back, or is lost. Their
// remedy is advice.
var managed = []string{"ufw", "firewalld", "kube-proxy", "kube-router", "Calico", "Cilium", "flannel", "Weave Net", "Istio", "Tailscale", "libvirt", "Docker", "Docker's swarm", "Podman (netavark)", cniPlugin, "fail2ban", "CrowdSec", "netdoctor"}

// fixRule removes a hand-made rule that drops what should pass. Rules of
// programs are left to them.
func fixRule(in *diag.Input, f *diag.Finding) []fixups.Op {
	if len(f.Covers.Traces) == 0 {
		return nil
	}
	w := diag.RulePlace(in.Flows[f.Covers.Traces[0]].Trace.Where)
	p := w.Rule
	if p == nil || p.Rule == nil {
		return nil
	}
	if standing(in, f, w) || in.Lockdown(w) {
		return nil
	}
	if usedUp(in, w, in.Flows[f.Covers.Traces[0]].Flow) != nil {
		return nil // see saySpent
	}
	for _, try := range []func(*diag.Input, *diag.Finding) []fixups.Op{asMeant, withoutECN} {
		if ops := try(in, f); len(ops) > 0 {
			return ops
		}
	}
	if diag.Spent(w) {
		f.Advice = "give the rule a wider range, or none: the kernel then keeps the port of each connection, or finds a free one"
		return anyPort(in, f, w)
	}
	if ops := fixSetElement(in, f); len(ops) > 0 {
		f.Advice = "what filled the set may put it back: change it there, too"
		showElement(in, f, w, ops[0])
		return ops
	}
	if ops := forgive(in, f); len(ops) > 0 {
		f.Advice = "what filled the list may do so again: see which rule has --set, and what the address did"
		return ops
	}
	if ops := misplaced(in, f, w); len(ops) > 0 {
		f.Advice = "restarting the engine writes its rules in their order, too; see what wrote this one in between"
		return ops
	}
	if owner := in.Owner(w); slices.Contains(managed, owner) {
		f.Advice = ownerAdvice(owner)
		if n := keptApart(in, &in.Flows[f.Covers.Traces[0]], w); n != nil {
			f.Advice = fmt.Sprintf("%s was made with com.docker.network.bridge.enable_icc=false, which keeps its members apart: use a network of their own for those that are to meet", n.Name)
		}
		switch owner {
		case "Docker":
			f.Advice = cmp.Or(directAdvice(in, &in.Flows[f.Covers.Traces[0]], w), f.Advice)
		case "firewalld":
			return exception(in, f)
		case "fail2ban":
			f.Advice = strings.Replace(f.Advice, "ADDRESS", onlySource(in, f), 1)
			return unban(in, w)
		case "libvirt":
			return ahead(in, f, w)
		}
		return nil
	}
	flow := &in.Flows[f.Covers.Traces[0]]
	if c := in.Listed(flow); c != nil {
		f.Advice = fmt.Sprintf("%s is let pass before this rule, which keeps in whoever is not, and stays: put there, too, who is meant to pass", c.Name)
		return enlist(in, f, w, true, func(h *sim.Hop) []fixups.Op { return joining(in, w, c, h.Src.Addr()) })
	}
	if n := in.Exempt(flow); n > 0 {
		before := *p
		before.Num, before.Rule = n, &p.ChainP.Rules[n-1]
		text, source := ruleText(in, w.Netns, &before)
		f.Evidence = append(f.Evidence, ev(source, text, snap.RefRule(w.Netns, p.TableP, p.Chain, n)))
		f.Advice = fmt.Sprintf("rule %d lets others pass there, and this one stops the rest, and stays: add to those before it who is meant to pass", n)
		return enlist(in, f, w, false, func(h *sim.Hop) []fixups.Op { return listing(in, w, before.Rule, h) })
	}
	if flow.Asked && in.RestOfList(flow) {
		f.Advice = "the rule closes all but what those before it name, and stays: add to these what is meant to be reached"
		return enlist(in, f, w, false, func(*sim.Hop) []fixups.Op { return nil })
	}
	if text, _ := in.RuleLine(w); admitting(text) || in.Admits(flow) {
		f.Advice = "the rule closes the port for all but those that it names, and stays: add to these who is meant to come in"
		if port, a := keptTo(text); a != "" && single(in.Netns(w.Netns), port) {
			f.Advice = fmt.Sprintf("the rule keeps who sends by %s to %s, against spoofing, and stays: give %s that address again, or have what wrote the rule name the new one", port, a, flow.From)
		}
		return admit(in, f, w)
	}
	if metered(p.Rule) {
		return spare(in, f, w)
	}
	if by := in.SentBy(flow, w); by != nil && in.EndsList(by) {
		if ops := lengthen(in, f, by); f.Advice != "" {
			return ops
		}
	}
	if in.EndsList(w) {
		if ops := lengthen(in, f, w); f.Advice != "" {
			return ops
		}
	}
	f.Advice = "the rule may be there for a reason: look at it before it goes; an exception before it does less"
	if ops := deleteAlike(in, w.Netns, p); len(ops) > 0 {
		if p.ChainP.Hook == "" && !slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return heals(in, i, ops) }) {
			if all := allBehind(in, f, ops); all != nil {
				return all
			}
			if x := exception(in, f); len(x) > 0 {
				return x // such as for a chain that rejects each protocol in its own way
			}
		}
		more := tidy(in, w.Netns, p)
		if len(more) > 0 && p.System == snap.NFT {
			f.Advice += fmt.Sprintf("; it is the only one of table %s, which goes with it and does nothing then: whatever adds to that table has to make it again", p.Table)
		}
		return append(ops, more...)
	}
	return nil
}

// standing says of a rule that hands a port of the world to a program which is not there
// that it is met by nothing else that must work. A proxy is often also a filter, so that
// only a person takes it out of the way; the advice has both ways.
func standing(in *diag.Input, f *diag.Finding, w *sim.Where) bool {
	if len(f.Covers.Traces) == 0 || len(f.Covers.Names) > 0 || slices.ContainsFunc(f.Covers.Traces, func(i int) bool { return in.Flows[i].Kind != "diverted" }) {
		return false
	}
	f.Advice = "start the program that should take these connections"
	if op := deleteRule(in, w.Netns, w.Rule.System, w.Rule.Family, w.Rule.Table, w.Rule.Chain, w.Rule.Num); op != nil {
		f.Advice += ", or, if it is gone for good, take the rule away: " + shellOf(op)
	}
	return true
}

// allBehind are operations with what restBehind adds to them for each place that flows of
// a finding lead to: one of several senders is enough, as others may be kept out by will;
// nil where that opens none.
func allBehind(in *diag.Input, f *diag.Finding, ops []fixups.Op) []fixups.Op {
	done := map[string]bool{}
	for _, i := range f.Covers.Traces {
		to := in.Flows[i].To
		if done[to] {
			continue
		}
		if more := restBehind(in, i, ops); more != nil {
			ops, done[to] = more, true
		}
	}
	if len(done) == 0 {
		return nil
	}
	return ops
}

// restBehind deletes the rules of a hand's that a flow meets one after the other once a
// first is gone, too; nil where it is stopped by something else at last. An exception
// before them all would let past what stands between and behind them. A reject for what
// is left is none of them: chains end with one for each protocol.
func restBehind(in *diag.Input, flow int, ops []fixups.Op) []fixups.Op {
	for range 3 {
		f := tried(in, flow, ops)
		if f == nil || f.Works() {
			break
		}
		w := diag.RulePlace(f.Trace.Where)
		if w == nil || w.Cause != sim.CauseRule || w.Rule == nil || w.Rule.Policy || w.Rule.ChainP == nil || slices.Contains(managed, in.Owner(w)) || rejects(w.Rule.Rule) {
			return nil
		}
		p := *w.Rule // of a copy with less rules
		if ns := in.Netns(w.Netns); ns != nil {
			p.TableP = ns.Ruleset.Table(p.System, p.Family, p.Table)
		}
		if p.TableP == nil || p.TableP.Chain(p.Chain) == nil {
			return nil
		}
		p.ChainP = p.TableP.Chain(p.Chain)
		p.Num = 1 + slices.IndexFunc(p.ChainP.Rules, func(r snap.Rule) bool { return r.Handle == p.Handle })
		more := deleteAlike(in, w.Netns, &p)
		if p.Num == 0 || p.Handle == 0 || len(more) == 0 {
			return nil
		}
		ops = append(slices.Clone(ops), more...)
	}
	if !heals(in, flow, ops) {
		return nil
	}
	return ops
}

// misplaced puts an engine's own rule behind those of its chain that the engine has
// before it, where it decides first; where it stands there as well, this one goes.
func misplaced(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	r, _ := in.Wanted(w)
	if r == nil {
		return nil
	}
	p, ns := w.Rule, in.Netns(w.Netns)
	var before []string
	for _, set := range wantedRules(in) {
		for i := range set.Rules {
			if x := &set.Rules[i]; x.Table != p.Table || x.Chain != p.Chain || set.System != p.System || set.Family != p.Family {
				continue
			} else if x.Text == r.Text {
				break
			} else {
				before = append(before, x.Text)
			}
		}
	}
	last, again := 0, false
	for i := max(p.Num, 1); i < len(p.ChainP.Rules); i++ {
		switch text := firewall.RuleText(ns, p.TableP, p.ChainP, &p.ChainP.Rules[i]); {
		case slices.Contains(before, text):
			last, again = i, false
		case text == r.Text:
			again = true
		}
	}
	if last == 0 {
		return nil
	}
	ops := []fixups.Op{deleteRule(in, w.Netns, p.System, p.Family, p.Table, p.Chain, p.Num)}
	if !again {
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: last + 1}
		if p.System == snap.NFT {
			op.Text = r.Text
		} else {
			op.Args = intent.Args(r.Text)
		}
		ops = append(ops, op)
	}
	if ops[0] == nil || !heals(in, f.Covers.Traces[0], ops) {
		return nil
	}
	return ops
}

// deleteAlike deletes a rule, and the same one again further down its chain, where a
// script that ran twice has left it: one of them alone would change nothing.
func deleteAlike(in *diag.Input, netns string, p *rules.Place) []fixups.Op {
	ns := in.Netns(netns)
	if ns == nil {
		return nil
	}
	var ops []fixups.Op
	first := ""
	for i := max(p.Num, 1); i <= len(p.ChainP.Rules); i++ {
		text := firewall.RuleText(ns, p.TableP, p.ChainP, &p.ChainP.Rules[i-1])
		if i == p.Num {
			first = text
		}
		if text != first {
			continue
		}
		if op := deleteRule(in, netns, p.System, p.Family, p.Table, p.Chain, i); op != nil {
			ops = append(ops, op)
		}
	}
	return ops
}

// keptApart is the network that was made to keep its members apart, both ends of
// the flow among them, where an engine's own rule for it stops the flow.
func keptApart(in *diag.Input, flow *diag.FlowCase, w *sim.Where) *snap.Network {
	r, _ := in.Wanted(w)
	from := container(in, flow.Flow.From)
	if r == nil || from == nil {
		return nil
	}
	n := in.Snap.Network(r.Network)
	if n == nil || n.ICC || in.Graph.NetworkOfAddr(flow.Flow.Dst) != n {
		return nil
	}
	if !slices.ContainsFunc(from.Endpoints, func(e snap.Endpoint) bool { return in.Snap.NetworkOf(from.Engine, &e) == n }) {
		return nil
	}
	return n
}

// fixReplies lets answers pass before the rule that drops them: the rule
// itself stays, for what it was meant for.
func fixReplies(in *diag.Input, f *diag.Finding) []fixups.Op {
	w := diag.RulePlace(in.Flows[f.Covers.Traces[0]].Trace.Where)
	if w.Rule == nil || w.Rule.Rule == nil {
		return nil
	}
	if o := in.Owner(w); slices.Contains(managed, o) {
		f.Advice = ownerAdvice(o)
		return nil
	}
	if usedUp(in, w, in.Flows[f.Covers.Traces[0]].Flow) != nil {
		return nil
	}
	if ops := fromListed(in, f, w); len(ops) > 0 {
		return ops
	}
	if untracked(w.Rule) || picks(in, f) {
		return fixRule(in, f)
	}
	return established(in, w.Netns, w.Rule, max(w.Rule.Num, 1))
}

// fromListed lets answers of the very machines that a finding is about pass before a rule
// which stops whatever comes from a list of addresses, such as those that do not belong
// on a wire; nil where the rule stands where connections are told apart, or is about
// them alone.
func fromListed(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	p := w.Rule
	text, _ := in.RuleLine(w)
	if !untracked(p) || p.TableP == nil || !slices.ContainsFunc([]string{" saddr ", " -s ", " src "}, func(s string) bool { return strings.Contains(" "+text, s) }) {
		return nil
	}
	var ops []fixups.Op
	for _, i := range f.Covers.Traces {
		to := in.Flows[i].Flow.Dst
		if strings.Contains(text, to.String()) || len(in.Graph.Owners(to)) > 0 {
			return nil
		}
		if len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: max(p.Num, 1)}
		switch {
		case p.System != snap.NFT:
			op.Args = []string{"-s", to.String(), "-j", "ACCEPT"}
		case to.Is4():
			op.Text = "ip saddr " + to.String() + " accept"
		default:
			op.Text = "ip6 saddr " + to.String() + " accept"
		}
		if ops = append(ops, op); !heals(in, i, ops) {
			return nil
		}
	}
	f.Advice = "the rule stays for all other addresses of its list"
	return ops
}

// picks says whether a rule lets the answer to a first packet pass and drops others of
// the connection: an exception for established ones would leave it nothing to drop.
func picks(in *diag.Input, f *diag.Finding) bool {
	l := in.Flows[f.Covers.Traces[0]].Trace.Later
	return l != "" && l != sim.LaterAll
}

// untracked says whether connections are not told apart yet where a rule
// stands: at a device, in a bridge (unless nf_conntrack_bridge is loaded), or before
// conntrack's own hook (NF_IP_PRI_CONNTRACK, -200).
// An exception for established ones is refused there, or never matches.
func untracked(p *rules.Place) bool {
	return p.Family == snap.Netdev || p.Family == snap.BridgeFamily || p.System != snap.NFT && p.Table == "raw" ||
		p.ChainP != nil && p.ChainP.Base() && p.ChainP.Priority <= -200 && (p.ChainP.Hook == "prerouting" || p.ChainP.Hook == "output")
}

// established inserts an exception for the answers of open connections.
func established(in *diag.Input, netns string, p *rules.Place, position int) []fixups.Op {
	op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, netns, p.TableP, p.Chain), Position: position}
	switch {
	case p.System == snap.NFT:
		op.Text = "ct state established,related accept"
	case p.Chain == "DOCKER-USER":
		op.Args = []string{"-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "RETURN"}
	default:
		op.Args = []string{"-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"}
	}
	return []fixups.Op{op}
}
