package diag

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Near is a rule that would let a packet pass but for one word, which is almost what the
// packet has: a slip of the pen, a card's former name, or what the packet was sent to, as
// the host has it, where DNAT has given it the container's address and port before.
type Near struct {
	Where   *sim.Where // the rule
	Is, Has string     // what it says, and what would take the packet
	Sent    bool       // Is is what the packet was sent to, before DNAT
	Set     string     // the set that has the word; "" where the rule itself has it
	Op      fixups.Op  // puts the rule, or the set's element, beside what is there, as the packet needs it
}

// maxNear bounds the words that are tried of one table, each on a copy of the host, maxRead
// the rules that are read for all flows: a list of ten thousand is a program's.
const (
	maxNear = 12
	maxRead = 10000
)

// Near is the rule that was meant to let a flow pass which another one, or a policy of the
// same table, stops; nil where none is that near. What a word was meant for is no guess: the
// rule with it takes the packet, and nothing on this host has the word as it is.
func (in *Input) Near(f *FlowCase) *Near {
	if n, ok := in.nears[f.Trace]; ok {
		return n
	}
	n := in.nearest(f)
	if in.nears == nil {
		in.nears = map[*sim.Trace]*Near{}
	}
	in.nears[f.Trace] = n
	return n
}

func (in *Input) nearest(f *FlowCase) *Near {
	w := RulePlace(f.Trace.Where)
	if !f.Broken() || w == nil || w.Reply || w.Cause != sim.CauseRule && w.Cause != sim.CausePolicy || w.Rule == nil || w.Rule.TableP == nil || len(f.Trace.Forward) == 0 {
		return nil
	}
	ns, t := in.Snap.Ns(w.Netns), w.Rule.TableP
	if ns == nil {
		return nil
	}
	m := &meant{in: in, f: f, ns: ns, t: t, at: &f.Trace.Forward[len(f.Trace.Forward)-1]}
	own, tried := slices.IndexFunc(t.Chains, func(c snap.Chain) bool { return c.Name == w.Rule.Chain }), 0
	for i := range t.Chains {
		switch { // the chain that stops it first, then the others
		case own < 0:
		case i == 0:
			i = own
		case i <= own:
			i--
		}
		c := &t.Chains[i]
		for k := range c.Rules {
			r := &c.Rules[k]
			if c.Name == w.Rule.Chain && !w.Rule.Policy && k+1 >= w.Rule.Num {
				break
			}
			if in.read++; in.read > maxRead {
				return nil
			}
			if !lets(r) || slices.ContainsFunc(r.Exprs, func(e snap.Expr) bool { l, ok := e.(*snap.Lookup); return ok && l.Invert }) {
				continue
			}
			at := ruleAt(ns, t, c, k)
			for _, n := range m.words(at) {
				if c.Hook != "" && w.Rule.ChainP != nil && w.Rule.ChainP.Hook != "" && c.Hook != w.Rule.ChainP.Hook {
					continue
				}
				if tried++; tried > maxNear {
					return nil
				}
				s := in.Snap.Clone()
				if n.Op == nil || n.Op.On(s) != nil {
					continue
				}
				after := in.Along(sim.New(s), *f)
				if o := RulePlace(after.Trace.Where); after.Works() || o == nil || o.Rule == nil || o.Netns != w.Netns || o.Rule.TableP == nil || o.Rule.Table != t.Name || o.Rule.System != t.System {
					return &n
				}
			}
		}
	}
	return nil
}

// meant looks for what words of rules were meant for.
type meant struct {
	in *Input
	f  *FlowCase
	ns *snap.Netns
	t  *snap.Table
	at *sim.Hop // the packet where it is stopped
}

// asks are the words before what a rule asks for, of iptables and nft, and what that is.
var asks = map[string]string{
	"-s": "src", "saddr": "src", "-d": "dst", "daddr": "dst", "-i": "dev", "-o": "dev", "iifname": "dev", "oifname": "dev", "iif": "dev", "oif": "dev",
	"--dport": "port", "--dports": "port", "dport": "port", "--ctorigdstport": "sent", "proto-dst": "sent",
}

// words are the rule at a place with one word as the packet has it, or a set that it looks
// into with one element more.
func (m *meant) words(w *sim.Where) []Near {
	p := w.Rule
	text := firewall.RuleText(m.ns, m.t, p.ChainP, p.Rule)
	var out []Near
	if s := m.sent(text); s != text {
		word, now := strconv.Itoa(int(m.f.Flow.Dport)), strconv.Itoa(int(m.at.Dst.Port()))
		if word == now {
			word, now = m.f.Flow.Dst.String(), m.at.Dst.Addr().String()
		}
		out = append(out, Near{Where: w, Is: word, Has: now, Sent: true, Op: m.whole(p, s)})
	}
	what, not := "", false
	for i := 0; i < len(text); {
		if strings.IndexByte(` ,{}"`, text[i]) >= 0 {
			i++
			continue
		}
		end := i + strings.IndexAny(text[i:]+" ", ` ,{}"`)
		word := text[i:end]
		switch k, ok := asks[word]; {
		case ok:
			what, not = k, strings.HasSuffix(text[:i], "! ")
		case word == "!=":
			not = true
		case word[0] == '-', word == "accept", word == "return":
			what = ""
		case not:
		case word[0] == '@':
			if s := m.t.Set(word[1:]); s != nil && !s.Map {
				out = append(out, m.elements(w, what, s)...)
			}
		default:
			for _, has := range m.near(what, word) {
				out = append(out, Near{Where: w, Is: word, Has: has, Op: m.rule(p, what, word, has, text[:i]+has+text[end:])})
			}
		}
		i = end
	}
	return out
}

// sent is a rule that asks for what the packet was sent to, with what DNAT has made of it:
// the very container's address beside its port, so that no other's is let in. The same text
// where it does not.
func (m *meant) sent(text string) string {
	to := m.at.Dst
	if m.f.Flow.Iif == "" || !to.IsValid() || to.Port() == 0 || to == netip.AddrPortFrom(m.f.Flow.Dst, m.f.Flow.Dport) {
		return text
	}
	port, addr := " "+strconv.Itoa(int(to.Port()))+" ", to.Addr().String()
	s := strings.Replace(text+" ", "dport "+strconv.Itoa(int(m.f.Flow.Dport))+" ", "dport"+port, 1)
	for _, key := range []string{"-d ", "daddr "} {
		for _, own := range []string{m.f.Flow.Dst.String() + " ", m.f.Flow.Dst.String() + "/32 "} {
			s = strings.Replace(s, key+own, key+addr+" ", 1)
		}
	}
	if s == text+" " {
		return text
	}
	if dst := "daddr " + addr; !strings.Contains(s, "daddr ") && m.t.System == snap.NFT {
		s = strings.Replace(s, "dport"+port, "dport"+port+snap.FamilyOf(to.Addr()).NFT()+" "+dst+" ", 1)
	} else if !strings.Contains(s, "-d ") && m.t.System != snap.NFT {
		s = strings.Replace(s, "dport"+port, "dport"+port+"-d "+addr+" ", 1)
	}
	return strings.TrimSuffix(s, " ")
}

// near are the words that one may have been meant for, of what the packet has.
func (m *meant) near(what, word string) []string {
	var has []string
	switch what {
	case "port", "sent":
		want := m.at.Dst.Port()
		if what == "sent" {
			want = m.f.Flow.Dport
		}
		n, err := strconv.ParseUint(word, 10, 16)
		if s := strconv.Itoa(int(want)); err == nil && slip(word, s) && len(word) > 3 && !m.in.known(uint16(n)) {
			has = append(has, s)
		}
	case "src", "dst":
		a := m.at.Src.Addr()
		if what == "dst" {
			a = m.at.Dst.Addr()
		}
		p, err := netip.ParsePrefix(word)
		if err != nil || p.IsSingleIP() || p.Contains(a) {
			break
		}
		for _, o := range m.around(a) {
			if s := o.String(); slip(word, s) && (slices.Contains(blocks[:], s) || !m.local(p)) && !slices.Contains(has, s) {
				has = append(has, s)
			}
		}
	case "dev":
		if m.ns.Link(word) != nil || strings.HasSuffix(word, "+") || strings.HasSuffix(word, "*") {
			break
		}
		for i := range m.ns.Links {
			if l := &m.ns.Links[i]; slip(word, l.Name) || card(word) && slices.Contains(Uplinks(m.in.Snap), l) {
				has = append(has, l.Name)
			}
		}
	}
	return has
}

// slip says whether one wrong letter, or two in the wrong order, make a word of another.
func slip(a, b string) bool { return a != b && snap.Distance(a, b) == 1 }

// card says whether a name is one that the kernel or udev give to a card (systemd.net-naming-scheme(7)):
// it has another one after the machine was moved, or its kernel renewed.
func card(name string) bool {
	rest := strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz")
	return slices.Contains([]string{"eth", "en", "eno", "ens", "enp", "enx", "em", "wlan", "wlp"}, name[:len(name)-len(rest)]) && rest != ""
}

// known says whether a port is anybody's on this host: it is published, or listened on.
func (in *Input) known(port uint16) bool {
	for i := range in.Snap.Containers {
		if slices.ContainsFunc(in.Snap.Containers[i].Ports, func(p snap.Port) bool { return p.HostPort == port || p.ContainerPort == port }) {
			return true
		}
	}
	for i := range in.Snap.Netns {
		if slices.ContainsFunc(in.Snap.Netns[i].Sockets, func(s snap.Socket) bool { return s.Local.Port() == port }) {
			return true
		}
	}
	return false
}

// blocks are the private networks (RFC 1918). A part of one may be meant, as of any network:
// half a block hardly ever is.
var blocks = [...]string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}

// around are the networks of an address that people name: an engine's, those of this host's
// routes, and the private blocks (RFC 1918).
func (m *meant) around(a netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	if n := m.in.Graph.NetworkOfAddr(a); n != nil {
		for _, p := range n.Pools {
			out = append(out, p.Subnet)
		}
	}
	for i := range m.ns.Routes {
		out = append(out, m.ns.Routes[i].Dst)
	}
	for _, s := range blocks {
		out = append(out, netip.MustParsePrefix(s))
	}
	return slices.DeleteFunc(out, func(p netip.Prefix) bool { return !p.Contains(a) || p.IsSingleIP() || p.Bits() == 0 })
}

// local says whether a network, or part of it, is one of this host's.
func (m *meant) local(p netip.Prefix) bool {
	return slices.ContainsFunc(m.ns.Routes, func(r snap.Route) bool { return r.Dst.Bits() > 0 && r.Dst.Overlaps(p) })
}
