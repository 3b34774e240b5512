package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2402: the host takes router advertisements from its containers.
//
// A device with accept_ra on takes addresses and a default route from whoever sends
// a router advertisement there. On a bridge that is a container: with CAP_NET_RAW it
// makes itself this host's IPv6 router and reads what the host sends. Docker sets
// accept_ra to 0 on its bridges since 19.03.11. The kernel asks accept_ra=2 where the
// device forwards, and 1 where it does not.
//
// See it by hand:
//
//	sysctl net.ipv6.conf.BRIDGE.accept_ra net.ipv6.conf.BRIDGE.forwarding
//
// Sources: net/ipv6/ndisc.c: ndisc_router_discovery, include/net/ipv6.h: ipv6_accept_ra; CVE-2020-13401, CVE-2020-10749
func nd2402() diag.Check {
	return diag.Check{
		Code: "ND2402", Name: "bridge-accepts-ra", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title: "The host takes IPv6 router advertisements from a bridge of containers",
		Detect: func(in *diag.Input) []diag.Finding {
			host := in.Snap.HostNs()
			var out []diag.Finding
			for i := range in.Snap.Networks {
				n := &in.Snap.Networks[i]
				if n.Bridge == "" || host == nil || host.Link(n.Bridge) == nil {
					continue
				}
				key := "net/ipv6/conf/" + n.Bridge + "/"
				ra, known := host.Sysctl(key + "accept_ra")
				fwd, _ := host.Sysctl(key + "forwarding")
				off, _ := host.Sysctl(key + "disable_ipv6")
				if !known || off == "1" || ra != "2" && (ra != "1" || fwd != "0") {
					continue
				}
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("containers of network %s can make themselves this host's IPv6 router: %s=%s", n.Name, fixups.SysctlName(key+"accept_ra"), ra),
					Cause:    "router advertisements that come in by the bridge are taken",
					Subject:  diag.Subject{Kind: "sysctl", Name: key + "accept_ra", Netns: host.ID},
					Evidence: []diag.Evidence{ev("sysctl "+fixups.SysctlName(key+"accept_ra"), fixups.SysctlName(key+"accept_ra")+" = "+ra, snap.RefSysctl(host.ID, key+"accept_ra"))},
					Weight:   30,
				})
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			return []fixups.Op{&fixups.SysctlSet{Where: at(in, f.Subject.Netns), Key: f.Subject.Name, Value: "0"}}
		},
	}
}
