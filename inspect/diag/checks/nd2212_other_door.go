package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2212: a container's answers leave by another uplink than the questions came in by.
//
// A host with two uplinks, or with a VPN that takes the default route, often has a
// routing rule for what it sends from each address ("from ADDRESS lookup TABLE"), and
// its own programs then answer by the way that the question came. A published port does
// not: the kernel routes the container's answer while it still has the container's own
// address, and gives it the host's address afterwards. It leaves by the default route,
// with a source that the network there does not know, and most drop it.
//
// See it by hand:
//
//	ip route get CLIENT from ADDRESS                        the host's own answers
//	ip route get CLIENT from CONTAINER iif BRIDGE           the container's
//	tcpdump -ni OTHER_UPLINK src ADDRESS                    they leave there
//
// A mark that the connection keeps tells the answers' way: CONNMARK, and a routing rule
// for the mark. Where there is such a mark already and its rule is asked too late, fix moves
// it. check says it, as a remark, where a rule or route has the host's own answers leave by
// a further uplink: whether anybody comes that way is not known from here. Of the uplink of
// the default route it is a warning.
//
// False positives: a network beyond that takes any source in.
//
// Sources: net/ipv4/ip_input.c and ip_forward.c (routes before nf_nat_ipv4_out); RFC 2827
func nd2212() diag.Check {
	return diag.Check{
		Code: "ND2212", Name: "answers-by-other-uplink", Severity: diag.Error, Since: "0.2",
		Title: "A container's answers leave by another uplink than the questions came in by",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				if !f.Asked || f.Excused || f.Flow.Iif == "" {
					continue
				}
				if d := otherDoor(in, f.Flow, f.Trace); d != nil {
					x := d.finding(in, f.From+" → "+f.To)
					x.Covers = diag.Cover{Traces: []int{i}}
					if d.table == 0 {
						x.Severity = diag.Warning
					}
					out = append(out, x)
				}
			}
			return append(out, doorsUnused(in, out)...)
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			var flows []sim.Flow
			for _, i := range f.Covers.Traces {
				flows = append(flows, in.Flows[i].Flow)
			}
			if host := in.Snap.HostNs(); len(flows) == 0 && host != nil && host.Link(f.Subject.Name) != nil { // whom nobody asked for
				knock(in, host, host.Link(f.Subject.Name), func(x sim.Flow, t *sim.Trace) bool {
					if d := otherDoor(in, x, t); d != nil && d.table != 0 {
						flows = append(flows, x)
					}
					return len(flows) > 0
				})
			}
			for _, x := range flows {
				if ops := askedSooner(in, x); ops != nil {
					f.Advice = "find out who adds the rules, and in which order: the next start of that has them so again"
					return ops
				}
			}
			return nil
		},
	}
}

// door is a way in by one device whose answers leave by another one.
type door struct {
	flow     sim.Flow
	out      string     // device of the answers
	back     netip.Addr // the container's address, that they are routed with
	bridge   string     // device that they come to this host by
	table    uint32     // by which the host's own answers from the address leave by the flow's device, 0 they do not
	from, to string     // namespaces
}

// otherDoor is the door of a flow from outside that arrived; nil when its answer leaves
// by the device it came in by, or nobody can say.
func otherDoor(in *diag.Input, f sim.Flow, t *sim.Trace) *door {
	host := in.Snap.Host.Netns
	if f.From != host || t.Arrived == "" || t.Arrived == host || t.Where == nil || !t.Where.Reply || t.Where.Netns == host && t.Where.Cause != sim.CauseOutside {
		return nil
	}
	for i := len(t.Routes) - 1; i >= 0; i-- {
		q := t.Routes[i]
		if q.Netns != host || q.Dst != f.Src || q.Iif == "" {
			continue
		}
		ways := in.World.Route(host, q.RouteQuery).Ways
		if len(ways) != 1 || ways[0].Dev == f.Iif {
			return nil
		}
		d := &door{flow: f, out: ways[0].Dev, back: q.Src, bridge: q.Iif, from: host, to: t.Arrived}
		if q := (sim.RouteQuery{Src: f.Dst, Dst: f.Src}); leadsBy(in, host, q, f.Iif) {
			d.table = in.World.Route(host, q).Table
		}
		return d
	}
	return nil
}

// leadsBy says whether a routing decision has but one way, and that by a device.
func leadsBy(in *diag.Input, netns string, q sim.RouteQuery, dev string) bool {
	ways := in.World.Route(netns, q).Ways
	return len(ways) == 1 && ways[0].Dev == dev
}

func (d *door) finding(in *diag.Input, flow string) diag.Finding {
	f := diag.Finding{
		Summary: fmt.Sprintf("%s comes in by %s, and the answers of %s leave by %s, as %s: most networks drop that", flow, d.flow.Iif, in.Who(d.to), d.out, d.flow.Dst),
		Cause:   fmt.Sprintf("the answer is routed while it still comes from %s, and gets the source %s afterwards", d.back, d.flow.Dst),
		Subject: diag.Subject{Kind: "link", Name: d.flow.Iif, Netns: d.from},
		Evidence: []diag.Evidence{
			d.way(in, sim.RouteQuery{Dst: d.flow.Src, Src: d.back, Iif: d.bridge}, fmt.Sprintf("route get %s from %s iif %s", d.flow.Src, d.back, d.bridge)),
		},
		Advice: d.advice(in.Snap.HostNs()),
		Weight: 60,
	}
	if d.table != 0 {
		f.Cause += fmt.Sprintf("; what this host itself sends from %s leaves by %s", d.flow.Dst, d.flow.Iif)
		f.Evidence = append(f.Evidence, d.way(in, sim.RouteQuery{Dst: d.flow.Src, Src: d.flow.Dst}, fmt.Sprintf("route get %s from %s", d.flow.Src, d.flow.Dst)))
	}
	return f
}

// advice has connections that come in by the device keep that way by a mark.
func (d *door) advice(host *snap.Netns) string {
	table := fmt.Sprintf("TABLE, one with a default route by %s", d.flow.Iif)
	dev := host.Link(d.flow.Iif)
	switch {
	case d.table == snap.TableMain:
		table = "main"
	case d.table != 0:
		table = fmt.Sprint(d.table)
	case dev != nil && slices.ContainsFunc(host.Routes, func(r snap.Route) bool {
		return r.Table == snap.TableMain && r.Dst.Bits() == 0 && r.Oif == dev.Index && r.Family == snap.FamilyOf(d.flow.Src)
	}):
		table = "main"
	}
	mangle := "iptables -t mangle -A PREROUTING "
	return fmt.Sprintf("have a mark, here 0x7, tell the answers' way: %s-i %s -m conntrack --ctstate NEW -j CONNMARK --set-mark 0x7; %s! -i %s -m connmark --mark 0x7 -j CONNMARK --restore-mark; ip rule add fwmark 0x7 lookup %s", mangle, d.flow.Iif, mangle, d.flow.Iif, table)
}

// way is the route that the host takes for a question, as evidence.
func (d *door) way(in *diag.Input, q sim.RouteQuery, command string) diag.Evidence {
	r := in.World.Route(d.from, q)
	return ev(ipIn(in, d.from, command), r.Text, r.Route)
}

// doorsUnused are the devices by which the host's own answers leave, and those of its
// published ports would not.
func doorsUnused(in *diag.Input, told []diag.Finding) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	for _, l := range diag.Outward(in.Snap) {
		if sameSubject(told, diag.Subject{Kind: "link", Name: l.Name, Netns: host.ID}) >= 0 || !l.Up {
			continue
		}
		var d *door
		c := knock(in, host, l, func(f sim.Flow, t *sim.Trace) bool {
			d = otherDoor(in, f, t)
			return d != nil && d.table != 0
		})
		if c == nil {
			continue
		}
		x := d.finding(in, fmt.Sprintf("%s:%d of %s", d.flow.Dst, d.flow.Dport, c.Name))
		x.Summary = fmt.Sprintf("who comes from afar by %s to a published port, such as %d/%s of %s, is answered by %s, as %s: most networks drop that", l.Name, d.flow.Dport, d.flow.Proto, c.Name, d.out, d.flow.Dst)
		if x.Severity, x.Weight = diag.Info, 20; leadsBy(in, host.ID, sim.RouteQuery{Dst: afar}, l.Name) {
			x.Severity = diag.Warning // most of who comes at all comes there
		}
		out = append(out, x)
	}
	return out
}

// askedSooner moves a routing rule for a mark, which the answers of a flow carry, before the
// one that leads them away; nil where that brings none of them to where the questions came in.
func askedSooner(in *diag.Input, f sim.Flow) []fixups.Op {
	host := in.Snap.HostNs()
	if host == nil || otherDoor(in, f, in.World.Trace(f)) == nil {
		return nil
	}
	w := fixups.At(in.Snap, host.ID)
	for _, late := range host.Rules {
		if late.Mask == 0 || late.Family != snap.FamilyOf(f.Src) {
			continue
		}
		for _, before := range host.Rules {
			if before.Family != late.Family || before.Priority >= late.Priority || before.Priority < 2 || before.Mask != 0 {
				continue
			}
			moved := late
			moved.Priority = before.Priority - 1
			if slices.ContainsFunc(host.Rules, func(r snap.PolicyRule) bool { return r.Family == late.Family && r.Priority == moved.Priority }) {
				continue
			}
			ops := []fixups.Op{&fixups.PolicyRuleAdd{Where: w, Rule: moved}, &fixups.PolicyRuleDel{Where: w, Rule: late}}
			world := worldWith(in, ops)
			if world == nil {
				continue
			}
			if t := world.Trace(f); t.Arrived != "" && leaves(t, host.ID) == f.Iif {
				return ops
			}
		}
	}
	return nil
}

// leaves is the device of a namespace by which the answer of a flow goes last.
func leaves(t *sim.Trace, netns string) string {
	dev := ""
	for _, h := range t.Reply {
		if h.Netns == netns && h.Stage == "route" {
			_, rest, _ := strings.Cut(h.Did, "dev ")
			dev, _, _ = strings.Cut(rest, " ")
		}
	}
	return dev
}
