package checks

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2301: the packet left this host in order, and nothing came back.
//
// Everything on this host lets the packet out and would let an answer in, but none
// arrives: a router or firewall beyond, or the destination itself, drops it. When
// the host's own tries fail in the same way, the container is not the point. Where the
// packets leave with an address of another device (a route's src), nobody out there
// sends to it unless he has a route: that route is tried without it.
//
// See it by hand:
//
//	tcpdump -ni UPLINK host DST              requests leave, nothing returns
//	the same connection from the host itself
//	ip route get DST                         src: is it of the uplink's network?
//
// A router that sends a port of its own on to this host and leaves the source as it is
// does not let this host ask for it by the router's address: what comes back has this
// host's own (NAT loopback). And connections from outside that stay half open, as conntrack has
// them, have lost what follows this host's answer: the way back is another than the way here.
//
// Of a machine that did not answer lately either, while others out there answer this
// host, there is a remark only: it may be gone for good, or watched whether it is up.
//
// Sources: RFC 1812 section 5.2.7.1
func nd2301() diag.Check {
	return diag.Check{
		Code: "ND2301", Name: "lost-beyond-this-host", Severity: diag.Error, Since: "0.1",
		Title:    "The packet left this host, and no answer returns",
		CatchAll: true,
		After:    []diag.Code{"ND1123", "ND1121", "ND1111", "ND2122", "ND2123", "ND2303", "ND2304", "ND2109", "ND2210", "ND2105", "ND2305", "ND2306", "ND2307", "ND3303", "ND1902", "ND1903", "ND8101", "ND3204", "ND2205", "ND2206", "ND2207", "ND2213", "ND3205", "ND8104"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			dead := map[string][]int{} // by sender, of those whom others out there answer: places in out
			for i := range in.Flows {
				f := &in.Flows[i]
				if x := cameBack(in, i); x != nil {
					if k := sameSubject(out, x.Subject); k >= 0 {
						out[k].Covers.Traces = append(out[k].Covers.Traces, i)
					} else {
						out = append(out, *x)
					}
					continue
				}
				if x := halfOpen(in, i); x != nil {
					out = append(out, *x)
					continue
				}
				if f.Excused || !f.Asked && f.Kind != "tried" || f.Trace.LeftHost == "" && !beside(in, f) || f.Unmasked && f.Trace.Verdict != sim.Delivered {
					continue
				}
				lost := f.Trace.Where != nil && f.Trace.Verdict == sim.Dropped && !owned(in, stoppedIn(f.Trace.Where))
				silent := f.Probe != nil && diag.ProbeSays(f.Probe) == "dropped" && !(f.Broken() && owned(in, place(f))) && !diedHere(in, f.Probe)
				twin := in.TwinSays(f)
				if f.Probe != nil && diag.ProbeSays(f.Probe) != "dropped" || !lost && !silent || f.Kind == "tried" && (!silent || twin == "delivered") {
					continue
				}
				x := lostBeyond(in, i, twin)
				if twin == "dropped" && f.Kind == "tried" {
					_, line := ledByHosts(in, f) // such a line may be stale
					if others, lately := in.HeardBeyond(f); others && !lately && line == nil {
						dead[f.From] = append(dead[f.From], len(out))
					}
				}
				out = append(out, x)
			}
			return remarked(in, out, dead)
		},
	}
}

// lostBeyond is what is said of a flow whose packets are lost out there; twin says how
// the host's own packets fare.
func lostBeyond(in *diag.Input, i int, twin string) diag.Finding {
	f := &in.Flows[i]
	x := diag.Finding{
		Summary: fmt.Sprintf("packets of %s to %s leave %s, but no answer returns: they are lost beyond this host", f.From, f.To, f.Trace.LeftHost),
		Cause:   "this host lets the packet out and would let an answer in; a router, a firewall or the destination beyond it drops the packet or the answer",
		Subject: diag.Subject{Kind: "address", Name: f.Flow.Dst.String()},
		Covers:  diag.Cover{Traces: []int{i}},
		Advice:  "nothing on this host is wrong: try the same from the host itself, and ask whoever runs the network beyond " + f.Trace.LeftHost,
		Weight:  40,
	}
	if f.Trace.LeftHost == "" {
		x.Summary = fmt.Sprintf("packets of %s to %s die before they come to this host", f.From, f.To)
		if f.Trace.Where.Reply {
			x.Summary = fmt.Sprintf("the answers of %s → %s leave this host, and are lost beyond it", f.From, f.To)
		}
		x.Cause, x.Advice = "what stops them is no part of this host", "nothing on this host is wrong: ask whoever runs the network between it and "+f.From
		if !f.Outside && !f.Trace.Where.Reply {
			x.Summary = fmt.Sprintf("packets of %s to %s get no further than the wire: %s", f.From, f.To, f.Trace.Where.Detail)
			x.Advice = "nothing on this host is wrong: ask whoever runs the switch and the router there"
		}
		x.Evidence = []diag.Evidence{ev("trace", f.Trace.Where.Detail, f.Trace.Where.Ref)}
		sayBeyond(in, f, &x)
		return x
	}
	if p := f.Probe; p != nil && p.Outcome == snap.Rejected && p.By.IsValid() {
		x.Summary = fmt.Sprintf("packets of %s to %s leave %s, and %s beyond this host rejects them", f.From, f.To, f.Trace.LeftHost, p.By)
		x.Cause = "this host lets the packet out; a router or firewall beyond it answers with an ICMP error in the destination's place"
	}
	switch twin {
	case "dropped":
		x.Summary += "; this host itself gets no answer either"
		x.Advice = "nothing on this host is wrong: ask whoever runs the network beyond " + f.Trace.LeftHost
	case "delivered":
		x.Summary += "; this host itself gets an answer"
		x.Cause = "something beyond this host, or what netdoctor does not model, treats the container's packets otherwise than the host's own"
		x.Advice = fmt.Sprintf("compare both on the wire: tcpdump -ni %s host %s", f.Trace.LeftHost, f.Flow.Dst)
		sayProgram(in, f, &x)
	}
	sayLed(in, f, &x)
	sayUnmasked(in, f, &x)
	sayForeign(in, f, &x)
	sayBeyond(in, f, &x)
	sayNamed(f, &x)
	sayHosts(in, f, &x)
	if f.Probe != nil {
		x.Evidence = append(x.Evidence, probed(in, f.Probe, fared(f.Probe)))
	}
	as := f.Trace.ExitSrc.String()
	if f.Flow.Dport == 0 { // ICMP: its identifier is no port
		as = f.Trace.ExitSrc.Addr().String()
	}
	if m := translated(f); m != nil && f.Flow.Dst.IsPrivate() { // whoever is there may let the sender's own address in alone
		as += fmt.Sprintf(", by %s", diag.ChainName(&sim.Where{Rule: m.Place}))
	}
	x.Evidence = append(x.Evidence, ev("trace", fmt.Sprintf("left this host on %s as %s", f.Trace.LeftHost, as), snap.RefLink(f.Trace.LeftNetns, f.Trace.LeftHost)))
	return x
}

// translated is the mapping that gave a flow the source that it left with; nil none did.
func translated(f *diag.FlowCase) *rules.NAT {
	for i := len(f.Trace.NATed) - 1; i >= 0; i-- {
		if m := &f.Trace.NATed[i]; m.Src && m.Place != nil && m.Place.Rule != nil && m.AddrMin == f.Trace.ExitSrc.Addr() {
			return m
		}
	}
	return nil
}

// beside says of a flow that was asked for that it dies beside this host, on its way
// here or back, and never was to leave it.
func beside(in *diag.Input, f *diag.FlowCase) bool {
	return f.Asked && f.Trace.LeftHost == "" && f.Trace.Where != nil && f.Trace.Verdict == sim.Dropped && !owned(in, stoppedIn(f.Trace.Where))
}

// stoppedIn is the namespace that stops a packet: of a question for a neighbour that comes
// to nothing the one that stops the question.
func stoppedIn(w *sim.Where) string {
	if w.Layer == "neigh" && w.Behind != nil && w.Behind.Netns != "" {
		return w.Behind.Netns
	}
	return w.Netns
}

// sayProgram says that what leaves a container by a tun or tap device is read by a
// program (slirp4netns(1), passt(1)): it has the packets, and sends its own in their stead.
func sayProgram(in *diag.Input, f *diag.FlowCase, x *diag.Finding) {
	ns, dev := in.Netns(f.Trace.LeftNetns), f.Trace.LeftHost
	if ns == nil || ns.ID == in.Snap.Host.Netns || ns.Link(dev) == nil || ns.Link(dev).Kind != "tun" {
		return
	}
	x.Summary = fmt.Sprintf("packets of %s to %s leave by %s, and the program that reads it brings no answer; this host itself gets one", f.From, f.To, dev)
	x.Cause = fmt.Sprintf("behind %s is no wire but a program: slirp4netns or pasta of a rootless engine, or a VPN's; it is stopped, hangs, or may not send", dev)
	x.Advice = "see whether it runs: ps -o pid,stat,args -C slirp4netns,pasta,passt (T: kill -CONT PID); starting the container again starts it anew"
}

// sayUnmasked says that a network by its own settings is not masqueraded, where its
// private addresses leave this host as they are: somebody out there must have a
// route back then.
func sayUnmasked(in *diag.Input, f *diag.FlowCase, x *diag.Finding) {
	src := f.Trace.ExitSrc.Addr()
	n := in.Graph.NetworkOfAddr(src)
	if n == nil || n.Driver != "bridge" || n.Masquerade || !src.IsPrivate() {
		return
	}
	name := networkName(in, n)
	x.Summary += fmt.Sprintf("; net:%s is not masqueraded, by its own settings: they leave as %s", name, src)
	x.Cause = fmt.Sprintf("network %s has masquerade off, so %s leaves with its own address, and whoever is beyond %s needs a route back to it", name, f.From, f.Trace.LeftHost)
	x.Advice = fmt.Sprintf("give the router beyond %s a route to the network, make the network anew with masquerade, or have the default route go by another network (gw-priority)", f.Trace.LeftHost)
	x.Evidence = append(x.Evidence, ev(diag.NetworkCommand(n), "masquerade off", snap.RefNetwork(n.Ref)))
}

// sayForeign says that packets leave this host with an address of its own that is of no
// network of the device by which they leave: nobody out there sends to it, unless he
// has a route.
func sayForeign(in *diag.Input, f *diag.FlowCase, x *diag.Finding) {
	o := foreignSource(in, f.Trace)
	if o == nil {
		return
	}
	x.Summary += fmt.Sprintf("; they leave as %s, which is of no network of %s", o.src, o.dev)
	x.Cause, x.Advice, x.Fix = o.cause(), o.advice, o.fix
	x.Evidence = append(x.Evidence, o.evidence...)
}

// sayBeyond names the rule of a namespace beside this host that stops the packet, or its
// answer, where one could be read: a router's that runs on the same machine.
func sayBeyond(in *diag.Input, f *diag.FlowCase, x *diag.Finding) {
	w := diag.RulePlace(f.Trace.Where)
	if w == nil || w.Rule == nil || owned(in, w.Netns) {
		return
	}
	text, source := in.RuleLine(w)
	what := "them"
	if w.Reply {
		what = "the answers"
	}
	x.Summary += fmt.Sprintf(": %s in %s stops %s: %s", diag.ChainName(w), in.Who(w.Netns), what, text)
	x.Cause = fmt.Sprintf("the rule is of %s, a namespace beside this host", in.Who(w.Netns))
	x.Evidence = append(x.Evidence, ev(source, text, w.Ref))
	x.Advice = "nothing on this host is wrong: change the rule there, or ask whose it is"
}

// sayNamed says to see whether a name that was asked for has the address that it was
// given: a record may be as wrong as a router.
func sayNamed(f *diag.FlowCase, x *diag.Finding) {
	name := f.To
	if i := strings.LastIndexByte(name, ':'); i > 0 {
		name = name[:i]
	}
	if _, err := netip.ParseAddr(name); err == nil || !f.Asked || !strings.Contains(name, ".") || strings.ContainsAny(name, " [/") {
		return
	}
	x.Advice += fmt.Sprintf("; and see whether %s is %s indeed: who runs that zone knows", name, f.Flow.Dst)
}

// foreign is a source of this host that its uplink has nothing to do with.
type foreign struct {
	src      netip.Addr
	dev      string // the uplink
	advice   string
	evidence []diag.Evidence // the route that names it; nil none does
	fix      *diag.Fix       // that route without it; it is tried, and taken back if nobody answers then
}

func (o *foreign) cause() string {
	return fmt.Sprintf("%s is an address of this host on another device: whoever is beyond %s needs a route to it, or answers nobody", o.src, o.dev)
}

// foreignSource finds one on a way out of the host; nil where there is none.
func foreignSource(in *diag.Input, t *sim.Trace) *foreign {
	src, host := t.ExitSrc.Addr(), in.Snap.HostNs()
	if host == nil || t.LeftNetns != host.ID {
		return nil
	}
	l := host.Link(t.LeftHost)
	if _, mine := host.HasAddr(src); !mine || l == nil || l.Master != 0 {
		return nil
	}
	own := host.AddrsOf(l.Index)
	if len(own) == 0 || slices.ContainsFunc(own, func(a snap.Addr) bool { return a.Prefix.Contains(src) }) {
		return nil
	}
	o := &foreign{src: src, dev: l.Name, advice: fmt.Sprintf("see who chose that address: a route with src %s, or a rule that translates to it", src)}
	for _, ref := range met(t) {
		v, err := in.Snap.At(ref)
		if r, ok := v.(*snap.Route); err == nil && ok && ref.Netns() == host.ID && r.PrefSrc == src {
			line, source := routeLine(in, host.ID, ref)
			o.evidence = []diag.Evidence{ev(source, line, ref)}
			plain := *r
			plain.PrefSrc = netip.Addr{}
			o.fix = &diag.Fix{Ops: []fixups.Op{fixups.NewRouteReplace(in.Snap, host.ID, plain)}, Survives: "until reboot"}
			o.advice = fmt.Sprintf("the route names it; without \"src %s\" the host takes an address of %s", src, l.Name)
			break
		}
	}
	return o
}

// remarked puts one remark in the place of the findings about each container that
// tries machines which may be dead for long; dead says which those are.
func remarked(in *diag.Input, list []diag.Finding, dead map[string][]int) []diag.Finding {
	var out, remarks []diag.Finding
	var gone []int
	for _, from := range slices.Sorted(maps.Keys(dead)) {
		var flows []int
		for _, k := range dead[from] {
			flows = append(flows, list[k].Covers.Traces...)
		}
		remarks, gone = append(remarks, strangers(in, flows)), append(gone, dead[from]...)
	}
	for k := range list {
		if !slices.Contains(gone, k) {
			out = append(out, list[k])
		}
	}
	return append(out, remarks...)
}

// strangers is what is said of the dead machines that one container tries while
// others answer: whoever watches machines, or meets strangers, does so all day.
func strangers(in *diag.Input, flows []int) diag.Finding {
	f := &in.Flows[flows[0]]
	to := f.To
	if n := len(flows) - 1; n > 0 {
		to += " and to " + diag.Count(n, "other destination")
	}
	x := diag.Finding{
		Severity: diag.Info, Weight: 40,
		Summary: fmt.Sprintf("packets of %s to %s leave %s, but no answer returns: they are lost beyond this host; this host itself gets no answer either, and others beyond it do answer", f.From, to, f.Trace.LeftHost),
		Cause:   "this host lets the packets out and would let the answers in, as it does for others; what is tried does not answer",
		Subject: diag.Subject{Kind: "address", Name: f.Flow.Dst.String()},
		Covers:  diag.Cover{Traces: flows},
		Advice:  "nothing on this host is wrong: ask whoever runs the network beyond " + f.Trace.LeftHost,
	}
	for _, i := range flows {
		x.Evidence = append(x.Evidence, probed(in, in.Flows[i].Probe, fared(in.Flows[i].Probe)))
	}
	return x
}

// diedHere says whether the kernel was seen to free a probe, or its answer, in a
// namespace of this host.
func diedHere(in *diag.Input, p *snap.Probe) bool {
	return p.Died != nil && owned(in, p.Died.Netns)
}

// place is the namespace of the deciding place, "" when nothing decided.
func place(f *diag.FlowCase) string {
	if f.Trace.Where == nil {
		return ""
	}
	return f.Trace.Where.Netns
}
