package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd7104: the way was measured, and loses large packets without a word.
//
// Echoes of many sizes were sent, none of which may be cut: small ones come back,
// large ones do not, and no router says "fragmentation needed". Connections come up
// and then hang as soon as much is sent. Somewhere on the way a device carries less
// than the sender's own, and what would tell of it is not sent or is dropped: a
// tunnel, a VPN, a bridge or a veth with a smaller MTU, a firewall that drops ICMP.
//
// See it by hand:
//
//	ping -M do -s SIZE DST                   from inside; find the size that passes
//	tracepath -n DST                         where it gets smaller, if anybody tells
//
// False positives: a host that answers small echoes only.
//
// Sources: RFC 2923 section 2.1; RFC 4821; moby#22297
func nd7104() diag.Check {
	return diag.Check{
		Code: "ND7104", Name: "path-mtu-black-hole", Severity: diag.Error, Since: "0.1",
		Title: "Large packets vanish on the way, and nobody tells the sender",
		After: []diag.Code{"ND7101", "ND7102", "ND7103", "ND7201", "ND2903"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				m := in.PathMTU(f)
				if !f.Asked || !m.Silent() {
					continue
				}
				fd := diag.Finding{
					Summary: fmt.Sprintf("%s → %s: packets of more than %d bytes vanish on the way, and nobody says so; the sender's device takes %d", f.From, f.To, m.Fits, m.Limit),
					Cause:   fmt.Sprintf("something on the way carries %d bytes, the sender sends %d, and no \"fragmentation needed\" comes back", m.Fits, m.Limit),
					Subject: diag.Subject{Kind: "host", Name: f.From + " → " + f.To, Netns: f.Flow.From},
					Evidence: []diag.Evidence{
						ev(in.IPCommand(f.Flow.From, fmt.Sprintf("ping -M do -s %d %s", m.TooBig-echoHeaders(f), f.Flow.Dst)),
							fmt.Sprintf("no answer to %d bytes, an answer to %d", m.TooBig, m.Fits), snap.RefNetns(f.Flow.From)),
					},
					Covers:     diag.Cover{Traces: []int{i}},
					Confidence: diag.Proved,
					Weight:     44,
				}
				if o := in.MTUOption(f, m.Fits); o != "" {
					fd.Advice = fmt.Sprintf("keep the sender's packets at %d bytes: %s; or mend the device that carries less", m.Fits, o)
				}
				if w := sizeRule(in, f, m.TooBig); w != nil {
					line, source := in.RuleLine(w)
					fd.Summary = fmt.Sprintf("%s → %s: %s (%s) in %s drops packets of more than %d bytes: %s", f.From, f.To, diag.ChainName(w), in.Owner(w), in.Who(w.Netns), m.Fits, line)
					fd.Cause = fmt.Sprintf("the rule %q of %s takes the large packets of a connection that comes up", line, diag.ChainName(w))
					fd.Subject = diag.Subject{Kind: "rule", Name: string(w.Ref), Netns: w.Netns}
					fd.Evidence = append([]diag.Evidence{ev(source, line, w.Ref)}, fd.Evidence...)
					fd.Advice = "the rule may be there for a reason: look at it before it goes"
					fd.Weight = 60
				}
				out = append(out, fd)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if f.Subject.Kind != "rule" {
				return nil
			}
			return deleteSubject(in, f)
		},
	}
}

// sizeRule is the rule by which a packet of that size of the flow, or an echo of
// that size as it was measured by, is dropped where a small one passes; nil for none.
func sizeRule(in *diag.Input, f *diag.FlowCase, size int) *sim.Where {
	echo := snap.ICMP
	if f.Flow.Dst.Is6() {
		echo = snap.ICMPv6
	}
	for _, p := range []snap.Proto{f.Flow.Proto, echo} {
		x := f.Flow
		x.Proto, x.Size = p, size-echoHeaders(f)
		switch p {
		case echo:
			x.Sport, x.Dport = 0, 0
		case snap.TCP:
			x.Size -= 12 // its header is longer
		}
		t := in.World.Trace(x)
		x.Size = 0
		if w := t.Where; t.Verdict == sim.Dropped && w != nil && w.Cause == sim.CauseRule && owned(in, w.Netns) && in.World.Trace(x).Verdict != sim.Dropped {
			return w
		}
	}
	return nil
}

// echoHeaders are the bytes of an echo before its payload.
func echoHeaders(f *diag.FlowCase) int {
	if f.Flow.Dst.Is6() {
		return 48
	}
	return 28
}

// device is one of a namespace.
type device struct{ netns, name string }

// measured makes a cause of lost large packets a proved one when the way of one
// of its flows was seen to carry less than the sender sends, or when a large packet
// that was tried died at one of these devices.
func measured(in *diag.Input, f *diag.Finding, devices ...device) {
	f.Confidence = diag.Predicted
	defer func() {
		if f.Confidence == diag.Predicted {
			vanished(in, f, devices)
		}
	}()
	for _, i := range f.Covers.Traces {
		c := &in.Flows[i]
		m := in.PathMTU(c)
		if !m.Smaller() {
			continue
		}
		f.Confidence = diag.Proved
		t := fmt.Sprintf("%s → %s: echoes of up to %d bytes are answered, %d are not", c.From, c.To, m.Fits, m.TooBig)
		if m.Told > 0 {
			t += fmt.Sprintf("; %s names %d", m.By, m.Told)
		}
		f.Evidence = append(f.Evidence, ev("probe", t, snap.RefNetns(c.Flow.From)))
		return
	}
}

// vanished looks for a large packet that died at one of the devices.
func vanished(in *diag.Input, f *diag.Finding, devices []device) {
	for i := range in.Witnesses {
		w := &in.Witnesses[i]
		at := w.Trace.Where
		if at == nil || at.Cause != sim.CauseMTU || !slices.ContainsFunc(devices, func(d device) bool {
			return at.Ref == snap.RefLink(d.netns, d.name) || passes(&w.FlowCase, d.netns, d.name)
		}) {
			continue
		}
		if t := in.Shows(w); t != "" {
			f.Confidence = diag.Proved
			f.Evidence = append(f.Evidence, ev(fmt.Sprintf("probe %d", w.Probe.ID), t, snap.RefProbe(w.Probe.ID)))
			return
		}
	}
}
