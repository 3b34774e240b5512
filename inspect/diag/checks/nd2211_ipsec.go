package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2211: IPsec drops what it should leave alone, or can't wrap it.
//
// IPsec's policies are asked behind the routes and no firewall shows them: one of
// action block drops what it selects, and one with a template wants it wrapped, or drops
// what came in unwrapped. Without an association there is nothing to wrap it in: the
// packet is lost while the key daemon is asked, and when the daemon is gone, for good.
// strongSwan and Libreswan leave such trap policies behind when they are killed, and
// their selectors often hold all private ranges, with the containers' among them.
//
// See it by hand:
//
//	ip xfrm policy; ip xfrm state            a policy, and nothing that fills it
//	cat /proc/net/xfrm_stat                  XfrmInTmplMismatch, XfrmOutNoStates, …PolBlock
//
// False positives: none known; whether the policy is meant is for its owner to say.
//
// Sources: net/xfrm/xfrm_policy.c: __xfrm_policy_check, xfrm_lookup_with_ifid; ip-xfrm(8)
func nd2211() diag.Check {
	return diag.Check{
		Code: "ND2211", Name: "ipsec-policy", Severity: diag.Error, Since: "0.2",
		Title:  "An IPsec policy drops the packet",
		Detect: detectND2211,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			v, err := in.Snap.At(snap.Ref(f.Subject.Name))
			if p, ok := v.(*snap.XfrmPolicy); err == nil && ok && p.Block && len(p.Templates) == 0 {
				return []fixups.Op{&fixups.XfrmPolicyDel{Where: at(in, f.Subject.Netns), Policy: *p}}
			}
			return nil // what must be wrapped must not go out as it is
		},
	}
}

func detectND2211(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range in.Groups(sim.CauseXfrm) {
		w := g.Where
		if !owned(in, w.Netns) {
			continue
		}
		subject := diag.Subject{Kind: "policy", Name: string(w.Ref), Netns: w.Netns}
		if i := sameSubject(out, subject); i >= 0 {
			out[i].Covers.Traces = append(out[i].Covers.Traces, g.Flows...)
			continue
		}
		first := &in.Flows[g.Flows[0]]
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s → %s%s: %s", first.From, first.To, more(g), w.Detail),
			Cause:    "IPsec's policies are asked after the routes, and what they drop no firewall rule sees",
			Subject:  subject,
			Evidence: []diag.Evidence{ev(ipIn(in, w.Netns, "xfrm policy"), w.Detail, w.Ref)},
			Covers:   diag.Cover{Traces: g.Flows},
			Weight:   85,
		}
		if v, err := in.Snap.At(w.Ref); err == nil {
			if p, ok := v.(*snap.XfrmPolicy); ok {
				f.Evidence[0].Text = sim.XfrmText(p)
				del := (&fixups.XfrmPolicyDel{Where: at(in, w.Netns), Policy: *p}).Shell()[0]
				switch {
				case p.Block:
					f.Advice = "find out who set it: it comes back with that program or script"
				case keyed(in.Netns(w.Netns)):
					f.Advice = "ask the key daemon why it has no association: ipsec statusall, swanctl --list-sas; only if the policy is not meant: " + del
				default:
					f.Evidence = append(f.Evidence, ev(in.IPCommand(w.Netns, "ss -lnup sport = :500"), "(no key daemon listens)", snap.RefNetns(w.Netns)))
					f.Advice = "start the key daemon again (ipsec start, systemctl start strongswan), or, only if the policy is a leftover and the packets may go unencrypted: " + del
				}
			}
		}
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool {
			return upstreamCut(n) && slices.ContainsFunc(n.Path.Servers, func(s names.Server) bool { return slices.Contains(s.Reach.Because, w.Ref) })
		})
		out = append(out, f)
	}
	return out
}

// keyed says whether a key daemon listens there (RFC 7296 section 2.23: ports 500 and 4500).
func keyed(ns *snap.Netns) bool {
	return ns != nil && slices.ContainsFunc(ns.Sockets, func(s snap.Socket) bool {
		return s.Proto == snap.UDP && (s.Local.Port() == 500 || s.Local.Port() == 4500)
	})
}
