package checks

import (
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// untranslated leaves the packets from a sender's subnet to where a flow is routed as they
// are, before a masquerade that takes them: members of a cluster know each other by their
// own addresses, and a list of who may come in does not have this host's. nil where the
// flow goes elsewhere, or which subnets are meant is not told.
func untranslated(in *diag.Input, f *diag.FlowCase, n *rules.NAT) []fixups.Op {
	host, from := in.Snap.HostNs(), in.Netns(f.Flow.From)
	if !n.Src || n.Kind != "masquerade" || n.Place == nil || n.Place.System == "nft" || host == nil || from == nil || from == host || n.Place.Ref.Netns() != host.ID || !f.Flow.Dst.IsPrivate() {
		return nil
	}
	src, dst := "", netip.Prefix{}
	for _, a := range from.Addrs {
		ip := a.Prefix.Addr()
		if ip.Is4() == f.Flow.Dst.Is4() && src == "" && (!f.Flow.Src.IsValid() || f.Flow.Src == ip) {
			src = onLink(in, ip)
		}
	}
	for _, r := range host.Routes {
		if r.Table == snap.TableMain && r.Type == "unicast" && r.Dst.Bits() > max(dst.Bits(), 0) && r.Dst.Contains(f.Flow.Dst) {
			dst = r.Dst
		}
	}
	if src == "" || !dst.IsValid() {
		return nil
	}
	return []fixups.Op{&fixups.RuleInsert{
		ChainRef: fixups.ChainAt(in.Snap, host.ID, n.Place.TableP, n.Place.Chain), Position: n.Place.Num,
		Args: []string{"-s", src, "-d", dst.String(), "-j", "RETURN"},
	}}
}

// mappingAt is the one that a rule made of a flow's packets; nil none.
func mappingAt(f *diag.FlowCase, ref snap.Ref) *rules.NAT {
	i := slices.IndexFunc(f.Trace.NATed, func(n rules.NAT) bool { return n.Place != nil && n.Place.Ref == ref })
	if i < 0 {
		return nil
	}
	return &f.Trace.NATed[i]
}
