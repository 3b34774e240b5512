package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2110: a port is published on an address that the host does not have.
//
// A port that is published on one address of the host is there as long as the host has
// that address: the engine's rules are asked for what is the host's own only. When the
// address goes (a virtual address moved to another host, a DHCP lease changed, a script
// did not add it again), nobody reaches the port any more, and the next start of the
// container fails: cannot assign requested address.
//
// See it by hand:
//
//	docker port CONTAINER                    on which address
//	ip addr show to ADDRESS                  no device has it
//
// False positives: a virtual address that another host has right now. Where that is
// meant, net.ipv4.ip_nonlocal_bind=1 lets the container start, and nothing is said.
//
// Sources: ip(7): IP_FREEBIND, ip_nonlocal_bind; moby daemon/libnetwork/portmapper
func nd2110() diag.Check {
	return diag.Check{
		Code: "ND2110", Name: "published-address-gone", Severity: diag.Warning, Since: "0.2",
		Title:  "A port is published on an address that no device of this host has",
		Detect: detectND2110,
	}
}

func detectND2110(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for j := range c.Ports {
			p := &c.Ports[j]
			if !c.Running() || c.Engine != "docker" && c.Engine != "podman" || p.HostPort == 0 || !gone(host, p.HostIP) {
				continue
			}
			f := diag.Finding{
				Summary: fmt.Sprintf("%s publishes port %d/%s on %s, and no device of this host has that address", c.Name, p.HostPort, p.Proto, p.HostIP),
				Cause:   fmt.Sprintf("%s was here when %s started; without it nothing that is sent there is this host's", p.HostIP, c.Name),
				Subject: diag.Subject{Kind: "address", Name: p.HostIP.String(), Netns: host.ID},
				Evidence: []diag.Evidence{
					ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %s:%d", p.ContainerPort, p.Proto, p.HostIP, p.HostPort), snap.RefContainer(c.Ref)),
					ev("ip addr show to "+p.HostIP.String(), "(no device has it)", snap.RefNetns(host.ID)),
				},
				Advice: "find out who has it now (a virtual address moves between hosts); if it belongs here: ip addr add " + p.HostIP.String() + "/LENGTH dev DEVICE; else publish the port on another address",
				Weight: 82,
			}
			if k := sameSubject(out, f.Subject); k >= 0 {
				continue
			}
			for k := range in.Flows {
				if in.Flows[k].Broken() && in.Flows[k].Flow.Dst == p.HostIP {
					f.Covers.Traces = append(f.Covers.Traces, k)
				}
			}
			out = append(out, f)
		}
	}
	return out
}

// gone says whether an address that must be one of the host's own is none: no device has
// it, no local route covers it, and sockets may not be bound to what is not there.
func gone(host *snap.Netns, ip netip.Addr) bool {
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsLoopback() {
		return false
	}
	bind := "net/ipv4/ip_nonlocal_bind"
	if ip.Is6() {
		bind = "net/ipv6/ip_nonlocal_bind"
	}
	if _, has := host.HasAddr(ip); has || host.Sysctls[bind] == "1" {
		return false
	}
	for _, r := range host.Routes {
		if r.Type == "local" && r.Dst.Contains(ip) {
			return false
		}
	}
	return true
}
