package checks

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// admitting says whether a rule is for all senders but some: to delete it would open what
// it closes for everybody.
func admitting(text string) bool {
	words := strings.Fields(text)
	for k := 1; k < len(words); k++ {
		ip, xt := words[k-1], words[k]
		if (ip == "ip" || ip == "ether") && k > 1 && words[k-2] == "saddr" { // arp saddr ip
			ip = "saddr"
		}
		if ip == "saddr" && xt == "!=" || xt == "!" && slices.Contains(sourceWords, ip) || ip == "!" && slices.Contains(sourceWords, xt) {
			return true
		}
	}
	return false
}

// sourceWords are what iptables and ebtables ask for a sender by; one has the ! of what
// must not be before its word, the other behind it.
var sourceWords = []string{"-s", "--match-set", "--src-range", "--mac-source", "--ip-src", "--ip6-src", "--arp-ip-src", "--arp-mac-src"}

// keptTo is the port whose sender a rule keeps to one address, against spoofing, and that
// address; "" where it is no such rule.
func keptTo(text string) (port, address string) {
	words := strings.Fields(text)
	for k := 1; k < len(words); k++ {
		switch before := words[:k]; {
		case slices.Contains([]string{"iif", "iifname", "-i"}, words[k-1]):
			port = strings.Trim(words[k], `"`)
		case words[k-1] == "!=" && slices.Contains(before[max(k-3, 0):], "saddr"), words[k-1] == "-s" && k > 1 && words[k-2] == "!":
			address = strings.TrimSuffix(words[k], "/32")
		}
	}
	if _, err := netip.ParseAddr(address); err != nil || port == "!=" {
		return "", ""
	}
	return port, address
}

// single says whether a device leads to one namespace only.
func single(ns *snap.Netns, dev string) bool {
	l := ns.Link(dev)
	return l != nil && l.Kind == "veth"
}

// admit lets the sender of a flow that a person asked for past such a rule, and nobody
// else; nil for those that nobody asked for.
func admit(in *diag.Input, f *diag.Finding, w *sim.Where) []fixups.Op {
	var ops []fixups.Op
	for _, i := range f.Covers.Traces {
		fl := &in.Flows[i]
		if !fl.Asked || !fl.Flow.Src.IsValid() || len(ops) > 0 && heals(in, i, ops) {
			continue
		}
		for _, op := range passing(in, w, fl.Flow.Src, "") {
			if more := append(slices.Clone(ops), op); heals(in, i, more) {
				ops = more
				break
			}
		}
	}
	return ops
}

// passing are the rules right before a last word, one of which lets a sender go on, an
// invalid one everybody; to is what else they ask for, "" nothing. In a chain whose own
// rules leave the word to whatever comes after the jump to it, so does the first.
func passing(in *diag.Input, w *sim.Where, from netip.Addr, to string) []fixups.Op {
	var out []fixups.Op
	p := w.Rule
	words := []string{"ACCEPT"}
	switch {
	case p.ChainP.Base():
	case p.Chain == "DOCKER-USER": // the engine's own rules are to have their say
		words[0] = "RETURN"
	case returning(p.ChainP):
		words = []string{"RETURN", "ACCEPT"}
	}
	for _, word := range words {
		op := &fixups.RuleInsert{ChainRef: fixups.ChainAt(in.Snap, w.Netns, p.TableP, p.Chain), Position: max(p.Num, 1)}
		if p.System == snap.NFT {
			by := ""
			if from.IsValid() {
				by = snap.FamilyOf(from).NFT() + " saddr " + from.String()
			}
			op.Text = strings.Join(strings.Fields(by+" "+to+" "+strings.ToLower(word)), " ")
		} else {
			if from.IsValid() {
				op.Args = []string{"-s", from.String()}
			}
			op.Args = slices.Concat(op.Args, strings.Fields(to), []string{"-j", word})
		}
		out = append(out, op)
	}
	return out
}

// returning says whether rules of a chain send packets back to where they came from.
func returning(c *snap.Chain) bool {
	return slices.ContainsFunc(c.Rules, func(r snap.Rule) bool {
		return slices.ContainsFunc(r.Exprs, func(e snap.Expr) bool {
			x, xt := e.(*snap.Xt)
			i, im := e.(*snap.Immediate)
			return xt && x.Target && x.Name == "RETURN" || im && i.Verdict != nil && i.Verdict.Code == "return"
		})
	})
}
