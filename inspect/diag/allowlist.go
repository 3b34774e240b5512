package diag

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxListed bounds the exceptions that are tried of one place.
const maxListed = 24

// allowlisted says whether what keeps a container from the world is about the addresses
// that stand for it, which are name servers that people close by will: others beside them
// are open. Or it closes this host, too (Lockdown). Or it is the rest of a list: an exception
// of that very rule, or a rule before it, names an address or a port out there which gets
// through. Whoever wrote such a list meant all else to be closed. On the host a policy, or a rule that decides whatever
// comes to its hook, is no such rest: exceptions from those may be anybody's. In the
// container itself it is: nobody else writes rules there.
func (in *Input) allowlisted(f *FlowCase) bool {
	w := RulePlace(f.Trace.Where)
	if f.Kind != "egress" || !slices.Contains(append(outsideWorld6[:], outsideWorld[:]...), f.Flow.Dst.String()) || !f.Broken() || w == nil || w.Reply {
		return false
	}
	if in.Lockdown(w) {
		return true
	}
	if w.Rule != nil && w.Rule.Rule != nil && diverts(w.Rule.Rule) {
		return false // to a program that is not there: who means to close something drops it
	}
	e := exceptions{in: in, x: f.Flow}
	beside := f.Flow.Dst.AsSlice()
	beside[len(beside)/2] ^= 64
	if a, _ := netip.AddrFromSlice(beside); e.gets(a, f.Flow.Dport) {
		return true
	}
	return in.RestOfList(f)
}

// RestOfList says whether what stops a flow is the rest of a list of what may be reached,
// as allowlisted has it.
func (in *Input) RestOfList(f *FlowCase) bool {
	w := RulePlace(f.Trace.Where)
	if w == nil || w.Reply || w.Cause != sim.CauseRule && w.Cause != sim.CausePolicy || w.Rule == nil || w.Rule.ChainP == nil {
		return false
	}
	first := w.Rule.Num
	if w.Rule.Policy || w.Rule.ChainP.Base() && bare(w.Rule.Rule) {
		if w.Netns != f.Flow.From || w.Netns == in.Snap.Host.Netns {
			return false
		}
		first = len(w.Rule.ChainP.Rules)
	}
	e := exceptions{in: in, x: f.Flow, ns: in.Snap.Ns(w.Netns), t: w.Rule.TableP}
	return e.ns != nil && e.through(w.Rule.ChainP, first, 2)
}

// exceptions are the addresses and ports that rules name.
type exceptions struct {
	in *Input
	ns *snap.Netns
	t  *snap.Table
	x  sim.Flow
	n  int
	// source: it is senders that are looked for, not where they go.
	source bool
}

// through says whether something that the first rules of a chain name, or chains that
// they jump to, gets out of this host.
func (e *exceptions) through(c *snap.Chain, first, depth int) bool {
	for i := range c.Rules[:min(first, len(c.Rules))] {
		text := firewall.RuleText(e.ns, e.t, c, &c.Rules[i])
		words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(` ,"{}`, r) })
		for k, w := range words {
			if t := e.t.Chain(w); t != nil && k > 0 && depth > 0 && slices.Contains([]string{"-j", "-g", "jump", "goto"}, words[k-1]) {
				if e.through(t, len(t.Rules), depth-1) {
					return true
				}
			}
			port, err := strconv.ParseUint(w, 10, 16)
			switch set := e.t.Set(strings.TrimPrefix(w, "@")); {
			case err == nil && strings.Contains(text, "dport") && !e.source:
				proto := e.x.Proto
				if strings.Contains(text, "udp") {
					e.x.Proto = snap.UDP
				}
				gets := e.gets(e.x.Dst, uint16(port))
				if e.x.Proto = proto; gets {
					return true
				}
			case set != nil && w[0] == '@':
				if slices.ContainsFunc(set.Elements, func(x snap.Element) bool {
					return slices.ContainsFunc(addresses(set, &x), func(a netip.Addr) bool { return e.gets(a, e.x.Dport) })
				}) {
					return true
				}
			case k > 0 && words[k-1] == "--match-set":
				for _, s := range e.ns.IPSets {
					if s.Name == w && slices.ContainsFunc(s.Entries, func(x snap.IPSetEntry) bool { return e.gets(someOf(x.IP), e.x.Dport) }) {
						return true
					}
				}
			default:
				first, _, _ := strings.Cut(w, "-")
				to, err := netip.ParseAddr(first)
				if p, bad := netip.ParsePrefix(w); bad == nil {
					to, err = someOf(p), nil
				}
				if err == nil && e.gets(to, e.x.Dport) {
					return true
				}
			}
		}
	}
	return false
}

// addresses are those that an element of a set names; one of a concatenation may have two.
func addresses(set *snap.Set, x *snap.Element) []netip.Addr {
	const reg = 4 // each part is filled up to registers of four bytes
	fields, at := set.Fields, 0
	if len(fields) == 0 {
		fields = []int{len(x.Key)}
	}
	var out []netip.Addr
	for _, n := range fields {
		if a, ok := netip.AddrFromSlice(x.Key[min(at, len(x.Key)):min(at+n, len(x.Key))]); ok {
			out = append(out, a)
		}
		at += (n + reg - 1) / reg * reg
	}
	return out
}

// someOf is an address of a prefix: a subnet's own is nobody's.
func someOf(p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return p.Addr()
	}
	return p.Addr().Next()
}

// gets says whether the container gets out to an address that is none of this host's, or,
// with source, whether who has it gets in.
func (e *exceptions) gets(to netip.Addr, port uint16) bool {
	if e.source {
		return port == e.x.Dport && e.comes(to)
	}
	if to.Is4() != e.x.Dst.Is4() || to.IsLoopback() || len(e.in.Graph.Owners(to)) > 0 || e.in.Graph.NetworkOfAddr(to) != nil || e.n >= maxListed {
		return false
	}
	e.n++
	f := FlowCase{Flow: e.x}
	f.Flow.Dst, f.Flow.Dport = to, port
	f.Trace = e.in.follow(f.Flow)
	return f.Works() && f.Trace.LeftHost != ""
}
