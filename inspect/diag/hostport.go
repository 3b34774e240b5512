package diag

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ByHostPort is the rule that would let a flow to a published port pass, and asks for the
// port as the host has it: DNAT has given the packet the container's before the forward
// hook. Whoever wrote it wants the port open. "" where there is none. The address is the
// container's, the port its own.
func (in *Input) ByHostPort(f *FlowCase) (snap.Ref, netip.AddrPort) {
	w := RulePlace(f.Trace.Where)
	if f.Port == nil || f.Flow.Iif == "" || !f.Broken() || w == nil || w.Reply || w.Cause != sim.CauseRule && w.Cause != sim.CausePolicy || w.Netns != in.Snap.Host.Netns || w.Rule == nil {
		return "", netip.AddrPort{}
	}
	i := slices.IndexFunc(f.Trace.NATed, func(n rules.NAT) bool { return !n.Src && n.AddrMin.IsValid() && n.PortMin != 0 })
	if i < 0 || f.Trace.NATed[i].PortMin == f.Flow.Dport {
		return "", netip.AddrPort{}
	}
	to := netip.AddrPortFrom(f.Trace.NATed[i].AddrMin, f.Trace.NATed[i].PortMin)
	asIs := f.Flow
	asIs.Dst = to.Addr()
	t := in.World.Trace(asIs)
	if t.Arrived == "" {
		return "", to
	}
	host := in.Snap.HostNs()
	for _, h := range t.Forward {
		for _, ref := range h.Because {
			v, err := in.Snap.At(ref)
			r, ok := v.(*snap.Rule)
			if err != nil || !ok || ref.Netns() != host.ID || !slices.ContainsFunc(r.Exprs, func(e snap.Expr) bool {
				i, ok := e.(*snap.Immediate)
				return ok && i.Verdict != nil && i.Verdict.Code == "accept"
			}) {
				continue
			}
			t, c, _ := host.Ruleset.Find(func(_ *snap.Table, _ *snap.Chain, x *snap.Rule) bool { return x == r })
			words := strings.Fields(firewall.RuleText(host, t, c, r))
			for k := 1; k < len(words); k++ {
				if strings.HasSuffix(words[k-1], "dport") && words[k] == strconv.Itoa(int(f.Flow.Dport)) {
					return ref, to
				}
			}
		}
	}
	return "", to
}
