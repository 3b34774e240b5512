package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2308: a container sends to an address of its network that nobody has.
//
// The neighbour table of a container remembers for a minute whom it asked for in vain. A
// proxy that has resolved the name of its backend once keeps sending to the address that
// the backend had then (nginx without resolver), or to that of a container which has been
// stopped: its own clients get "502 Bad Gateway", and each of the two connections looks
// well. It is a remark, for whoever asks for a flow to that container: why it asked is its
// program's business, and may be a look of netdoctor's own while somebody was there.
//
// See it by hand:
//
//	nsenter -t PID -n ip neigh show          FAILED
//	docker ps -a                             who had the address?
//
// Sources: net/core/neighbour.c: neigh_periodic_work, gc_stale_time; nginx,
// ngx_http_upstream_module, resolve
func nd2308() diag.Check {
	return diag.Check{
		Code: "ND2308", Name: "neighbour-asked-in-vain", Severity: diag.Info, Since: "0.2",
		Title: "A container asks for an address of its network that nobody has",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, a := range attachments(in) {
				if a.link == nil || a.ns == in.Snap.HostNs() || !concerned(in, a.c) {
					continue
				}
				for k, n := range a.ns.Neighs {
					if n.Index != a.link.Index || n.State != "failed" || !n.IP.Is4() || !a.e.IPv4.Masked().Contains(n.IP) || len(in.Graph.Owners(n.IP)) > 0 || probedFrom(in, a.ns.ID, n.IP) {
						continue
					}
					f := diag.Finding{
						Summary:  fmt.Sprintf("%s asked for %s on network %s a moment ago, and nobody has that address", a.c.Name, n.IP, networkName(in, a.n)),
						Cause:    "mostly its program keeps an address that it was told before, as proxies do that resolve a name once",
						Subject:  diag.Subject{Kind: "address", Name: n.IP.String(), Netns: a.ns.ID},
						Evidence: []diag.Evidence{ev(ipIn(in, a.ns.ID, "neigh show"), fmt.Sprintf("%s dev %s FAILED", n.IP, a.link.Name), snap.RefItem(a.ns.ID, "neigh", k))},
						Advice:   fmt.Sprintf("see what %s is to send to; a restart has it ask for the name again", a.c.Name),
						Weight:   20,
					}
					if o := hadAddress(in, a, n.IP); o != nil {
						f.Summary += fmt.Sprintf(": it is that of %s, which is %s", o.Name, o.State)
						f.Cause = fmt.Sprintf("%s gives its address up while it is stopped", o.Name)
						f.Evidence = append(f.Evidence, ev(diag.InspectCommand(o), fmt.Sprintf("%s: %s, %s", o.Name, o.State, n.IP), snap.RefContainer(o.Ref)))
						f.Advice = fmt.Sprintf("start it: %s start %s", diag.ToolOf(o.Engine, o.Name), o.Name)
					}
					out = append(out, f)
				}
			}
			return out
		},
	}
}

// concerned says whether a flow that somebody asked for ends at a container.
func concerned(in *diag.Input, c *snap.Container) bool {
	return slices.ContainsFunc(in.Flows, func(f diag.FlowCase) bool {
		return f.Asked && (f.Target == c.Ref || f.Trace.Arrived != "" && f.Trace.Arrived == c.Netns)
	})
}

// probedFrom says whether this program itself asked for the address: then its own question
// may be what is remembered.
func probedFrom(in *diag.Input, netns string, ip netip.Addr) bool {
	return slices.ContainsFunc(in.Snap.Probes, func(p snap.Probe) bool { return p.From == netns && p.Dst.Addr() == ip })
}

// hadAddress is the container that does not run and has an address of a network by its own
// settings; nil for none.
func hadAddress(in *diag.Input, a attachment, ip netip.Addr) *snap.Container {
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		if !c.Running() && slices.ContainsFunc(c.Endpoints, func(e snap.Endpoint) bool {
			return in.Snap.NetworkOf(c.Engine, &e) == a.n && (e.StaticIPv4 == ip || e.IPv4.IsValid() && e.IPv4.Addr() == ip)
		}) {
			return c
		}
	}
	return nil
}
