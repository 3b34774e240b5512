package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// servedElsewhere says of a port where nobody listens that rules lead it on when another
// of this host's addresses is asked, and which set of theirs lacks the one that was: of
// node ports, say, that are served at some addresses only.
func servedElsewhere(in *diag.Input, host *snap.Netns, f *diag.FlowCase, x *diag.Finding) bool {
	asked := f.Flow.Dst
	for i := range host.Addrs {
		a := host.Addrs[i].Prefix.Addr()
		if a == asked || a.Is4() != asked.Is4() || a.IsLoopback() || a.IsLinkLocalUnicast() {
			continue
		}
		c := diag.FlowCase{Flow: f.Flow}
		c.Flow.Dst = a
		if c.Trace = in.World.Trace(c.Flow); !c.Works() {
			continue
		}
		w := ledOn(in, host, c.Trace)
		if w == nil {
			continue
		}
		text, source := in.RuleLine(w)
		x.Summary = fmt.Sprintf("port %d/%s of this host is served at %s, not at %s: %s (%s) leads it to %s from there only", f.Flow.Dport, f.Flow.Proto, a, asked, diag.ChainName(w), in.Owner(w), c.Trace.ArrivedAs)
		x.Cause = fmt.Sprintf("no rule takes the port at %s, and no process of the host listens on it", asked)
		x.Evidence = append(x.Evidence, ev(source, text, w.Ref))
		x.Advice = fmt.Sprintf("ask %s, or have the port served at %s, too", netip.AddrPortFrom(a, f.Flow.Dport), asked)
		if s, add := setLacks(in, w, c.Flow.Dst, f.Flow); s != nil {
			x.Summary += fmt.Sprintf(", and set %s lacks %s", s.Name, asked)
			x.Evidence = append(x.Evidence, ev(fmt.Sprintf("nft list set %s %s %s", w.Rule.Family.NFT(), w.Rule.Table, s.Name), fmt.Sprintf("%s is in it, %s is not", a, asked), ""))
			x.Advice += fmt.Sprintf(": %s; for long, in the configuration of whoever made the set (kube-proxy: nodePortAddresses)", add.Shell()[0])
		}
		return true
	}
	return false
}

// ledOn is the first rule of the host's that gave a flow another destination; nil for none.
func ledOn(in *diag.Input, host *snap.Netns, t *sim.Trace) *sim.Where {
	for _, n := range t.NATed {
		if n.Src || n.Place == nil {
			continue
		}
		if w := rulePlace(in, n.Place.Ref); w != nil && w.Netns == host.ID {
			return w
		}
	}
	return nil
}

// setLacks is the set of a rule's table that has one address and not the one that a flow
// asks for, and with which the flow gets through, with the operation; nil for none.
func setLacks(in *diag.Input, w *sim.Where, has netip.Addr, f sim.Flow) (*snap.Set, fixups.Op) {
	holds := func(s *snap.Set, a netip.Addr) bool {
		for k := range s.Elements {
			if covers(s, &s.Elements[k], a) {
				return true
			}
		}
		return false
	}
	for i := range w.Rule.TableP.Sets {
		s := &w.Rule.TableP.Sets[i]
		if s.Anonymous || len(s.Fields) > 0 || !holds(s, has) || holds(s, f.Dst) {
			continue
		}
		op := element(in, w, s, f.Dst.AsSlice(), snap.Element{})
		if after := worldWith(in, []fixups.Op{op}); after != nil {
			if c := (diag.FlowCase{Flow: f, Trace: after.Trace(f)}); c.Works() {
				return s, op
			}
		}
	}
	return nil, nil
}
