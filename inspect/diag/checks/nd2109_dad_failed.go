package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2109: an IPv6 address is there, and the kernel does not use it.
//
// Before it uses an IPv6 address the kernel asks the wire who else has it. When
// somebody answered, the address stays on the device, marked dadfailed, and is dead:
// no packet is sent from it, no question for it is answered, and it is never tried
// again. A container that came up while its predecessor still held the address, a
// cloned machine, and a bridge that loops the question back leave that behind.
//
// See it by hand:
//
//	ip -6 addr show dadfailed
//	dmesg | grep 'duplicate address'
//
// Sources: RFC 4862, section 5.4; net/ipv6/addrconf.c: addrconf_dad_stop
func nd2109() diag.Check {
	return diag.Check{
		Code: "ND2109", Name: "dad-failed", Severity: diag.Error, Since: "0.1",
		Title:  "An IPv6 address failed duplicate address detection",
		Detect: detectND2109,
		Fix:    fixND2109,
	}
}

func detectND2109(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		for k := range ns.Addrs {
			a := &ns.Addrs[k]
			l := ns.LinkAt(a.Index)
			if l == nil || !a.Has("dadfailed") {
				continue
			}
			ip, who := a.Prefix.Addr(), in.Who(ns.ID)
			f := diag.Finding{
				Summary: fmt.Sprintf("%s of %s is dead: %s found another holder of %s", a.Prefix, who, l.Name, ip),
				Cause:   fmt.Sprintf("duplicate address detection on %s of %s failed: %s stays there and is not used", l.Name, who, ip),
				Subject: diag.Subject{Kind: "address", Name: ip.String(), Netns: ns.ID},
				Evidence: []diag.Evidence{
					ev(ipIn(in, ns.ID, "-6 addr show dev "+l.Name), fmt.Sprintf("inet6 %s dadfailed", a.Prefix), snap.RefItem(ns.ID, "addr", k)),
				},
				Severity: diag.Warning,
				Advice: fmt.Sprintf("see that nobody else has it, then have it tried anew: %s; %s",
					ipIn(in, ns.ID, fmt.Sprintf("-6 addr del %s dev %s", a.Prefix, l.Name)), ipIn(in, ns.ID, fmt.Sprintf("-6 addr add %s dev %s", a.Prefix, l.Name))),
				Weight: 86,
			}
			for _, o := range in.Graph.Owners(ip) {
				if o.Netns != ns {
					f.Summary += ", " + in.Who(o.Netns.ID)
				}
			}
			lone := loneUplink6(in, ns, l, a)
			if lone {
				f.Severity = diag.Error
				f.Cause += ", and it is the only one of that device: a router that leads answers back by it finds the other holder"
			}
			for n := range in.Flows {
				fl := &in.Flows[n]
				if lone && !fl.Excused && fl.Flow.Dst.Is6() && fl.Trace.LeftHost == l.Name && fl.Trace.LeftNetns == ns.ID && diag.ProbeSays(fl.Probe) == "dropped" {
					f.Covers.Traces = append(f.Covers.Traces, n)
				}
				if fl.Broken() && !fl.Excused && fl.Flow.Dst.Is6() && (fl.Flow.Dst == ip || fl.Flow.From == ns.ID && !ip.IsLinkLocalUnicast()) {
					f.Covers.Traces = append(f.Covers.Traces, n)
					f.Severity = diag.Error
				}
			}
			out = append(out, f)
		}
	}
	return out
}

// loneUplink6 says of an address that it is the only one but link-local ones by which
// the host's IPv6 default route leads out.
func loneUplink6(in *diag.Input, ns *snap.Netns, l *snap.Link, a *snap.Addr) bool {
	ip := a.Prefix.Addr()
	return ns == in.Snap.HostNs() && !ip.IsLinkLocalUnicast() &&
		slices.ContainsFunc(ns.Routes, func(r snap.Route) bool {
			return r.Family == snap.IPv6 && r.Dst.Bits() == 0 && r.Oif == l.Index && r.Type == "unicast"
		}) &&
		!slices.ContainsFunc(ns.Addrs, func(o snap.Addr) bool {
			return o.Index == l.Index && o.Prefix.Addr().Is6() && !o.Prefix.Addr().IsLinkLocalUnicast() && !o.Has("dadfailed")
		})
}

// fixND2109 puts the address back as its engine did, without asking, where the
// engine gave it to that very container and nobody of this host has it as well.
func fixND2109(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	i := slices.IndexFunc(ns.Addrs, func(a snap.Addr) bool { return a.Has("dadfailed") && a.Prefix.Addr().String() == f.Subject.Name })
	if i < 0 {
		return nil
	}
	a, ip := ns.Addrs[i], ns.Addrs[i].Prefix.Addr()
	given := slices.ContainsFunc(attachments(in), func(x attachment) bool { return x.ns == ns && x.e.IPv6.Addr() == ip })
	for _, o := range in.Graph.Owners(ip) {
		given = given && o.Netns == ns
	}
	l := ns.LinkAt(a.Index)
	if !given || l == nil {
		return nil
	}
	again := a
	again.Flags = []string{"permanent", "nodad"} // moby libnetwork/osl/interface_linux.go: setInterfaceIPv6
	return []fixups.Op{
		&fixups.AddrDel{Where: at(in, ns.ID), Dev: l.Name, Prefix: a.Prefix, Peer: a.Peer},
		&fixups.AddrAdd{Where: at(in, ns.ID), Dev: l.Name, Addr: again},
	}
}
