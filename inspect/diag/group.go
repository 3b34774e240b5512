package diag

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Group is a set of broken flows that one and the same place breaks.
type Group struct {
	Where *sim.Where // of the first of them
	Flows []int      // into Input.Flows
}

// Groups gathers the broken flows whose deciding place has one of the causes,
// by place: namespace, device, referred line; a rule or a policy is one place,
// whatever devices the packets come by. Flows whose siblings work are left out:
// who is fenced off by will is not broken.
func (in *Input) Groups(causes ...sim.Cause) []Group {
	var out []Group
	at := map[string]int{}
	for i := range in.Flows {
		f := &in.Flows[i]
		if !f.Broken() || f.Excused || f.Trace.Where == nil || !slices.Contains(causes, f.Trace.Where.Cause) {
			continue
		}
		w := RulePlace(f.Trace.Where)
		device := w.Device
		if w.Rule != nil {
			device = ""
		}
		ref := w.Ref
		if w.Left != nil {
			ref = w.Left.Ref // whoever comes to the policy by it has another fault
		}
		key := strings.Join([]string{string(w.Cause), w.Netns, device, string(ref), fmt.Sprint(w.Reply)}, "|")
		if n := in.Near(f); n != nil { // each word that is wrong is a fault
			key += fmt.Sprint("|", n.Set, n.Is, n.Has)
		}
		k, ok := at[key]
		if !ok {
			k = len(out)
			at[key] = k
			out = append(out, Group{Where: w})
		}
		out[k].Flows = append(out[k].Flows, i)
	}
	return out
}

// RulePlace is where the deciding rule is: when a question for a neighbour was
// dropped on its way, the place of that, not of who asked.
func RulePlace(w *sim.Where) *sim.Where {
	if w != nil && w.Rule != nil && w.Behind != nil && w.Behind.Rule == w.Rule {
		return w.Behind
	}
	return w
}

// excuse marks the flows that belong to a bundle of which another works, or of
// which nothing firm is known: one sender of several, one destination of several;
// and those that a member of a network keeps out by itself.
func (in *Input) excuse() {
	type bundle struct{ works, unsure bool }
	all := map[string]*bundle{}
	key := func(f *FlowCase) string { return f.Kind + "|" + f.from0() + "|" + f.To }
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Asked {
			continue
		}
		b := all[key(f)]
		if b == nil {
			b = &bundle{}
			all[key(f)] = b
		}
		switch {
		case f.Broken() || f.Unmasked:
		case f.Works():
			b.works = true
		default:
			b.unsure = true
		}
	}
	for i := range in.Flows {
		f := &in.Flows[i]
		if !f.Asked {
			b := all[key(f)]
			f.Excused = (b.works || b.unsure) && !in.answersLost(f) || in.walled(f) || in.allowlisted(f) || in.admits(f) || in.pingsOnly(f) || in.unwished(f) || in.tested(f)
		}
		switch f.Kind {
		case "twin":
			f.Excused = true
		case "tried":
			f.Excused = f.Broken() && !in.oversight(f)
		}
	}
}

// from0 is the sender without what tells siblings apart.
func (f *FlowCase) from0() string {
	if f.Kind == "published" {
		return "outside via " + f.Flow.Iif
	}
	return f.From
}

// unmasked says whether a flow leaves this host by an uplink with a private
// source that nobody out there can answer: not an address of the host, not of
// the uplink's own subnet.
func (in *Input) unmasked(f *FlowCase) bool {
	t := f.Trace
	if t.LeftHost == "" || !t.ExitSrc.IsValid() || f.Outside || t.LeftNetns != in.Snap.Host.Netns {
		return false
	}
	src := t.ExitSrc.Addr()
	host := in.Snap.HostNs()
	if host == nil || !private(src) {
		return false
	}
	if _, mine := host.HasAddr(src); mine {
		return false
	}
	up := host.Link(t.LeftHost)
	if up == nil {
		return false
	}
	for _, a := range host.AddrsOf(up.Index) {
		if a.Prefix.Contains(src) {
			return false
		}
	}
	if private(f.Flow.Dst) && exempted(host, src, f.Flow.Dst) {
		return false
	}
	if n := in.Graph.NetworkOfAddr(src); n != nil && (!n.Masquerade || src.Is4() && n.GatewayMode4 == "routed" || src.Is6() && n.GatewayMode6 == "routed") {
		return false // by will
	} else if n != nil && n.Bridge != "" && up.Master != 0 && up.Master == index(host, n.Bridge) {
		return false // switched, not routed: its gateway is a neighbour on the wire
	} else if n != nil && src.Is6() && !f.Asked {
		// Without ip6tables an engine masquerades no IPv6; programs then prefer
		// IPv4 for such sources (RFC 6724, section 5, rule 6), unless somebody asks.
		if e := in.Snap.Engine(n.Engine); e == nil || !e.IP6Tables {
			return false
		}
	}
	return true
}

// index is a device's by name; 0 when it is not there.
func index(ns *snap.Netns, name string) int {
	if l := ns.Link(name); l != nil {
		return l.Index
	}
	return 0
}

// private says whether an address is one that the Internet does not route:
// RFC 1918, RFC 6598, RFC 4193, link-local.
func private(a netip.Addr) bool {
	cgn := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
	return a.IsPrivate() || a.IsLinkLocalUnicast() || cgn.Contains(a)
}
