package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd6303: a container can't start because another has its address.
//
// An address asked for with --ip is only reserved while the container runs. When
// it is stopped, the engine may give the address to another container, and the start
// then fails with "Address already in use".
//
// See it by hand:
//
//	docker inspect -f '{{.State.Error}}' NAME
//	docker network inspect NET               which container has the address
//
// Sources: moby libnetwork/ipam; docker compose, ipv4_address
func nd6303() diag.Check {
	return diag.Check{
		Code: "ND6303", Name: "static-address-taken", Severity: diag.Error, Since: "0.1",
		Title: "A container can't start: its static address is held by another",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Containers {
				c := &in.Snap.Containers[i]
				if c.Running() || !failedToStart(c) {
					continue
				}
				for j := range c.Endpoints {
					e := &c.Endpoints[j]
					n := in.Snap.NetworkOf(c.Engine, e)
					o, oe := holder(in, n, c, e)
					if o == nil {
						continue
					}
					f := diag.Finding{
						Summary: fmt.Sprintf("%s can't start: its address %s on network %s is held by %s", c.Name, e.StaticIPv4, e.Network, o.Name),
						Cause:   fmt.Sprintf("%s asks for %s with --ip, and %s got that address while %s was not running", c.Name, e.StaticIPv4, o.Name, c.Name),
						Subject: diag.Subject{Kind: "container", Name: c.Name},
						Evidence: []diag.Evidence{
							ev(diag.InspectCommand(c), fmt.Sprintf("%s: wants %s", c.State, e.StaticIPv4), snap.RefContainer(c.Ref)),
							ev(diag.InspectCommand(o), fmt.Sprintf("has %s", oe.IPv4), snap.RefContainer(o.Ref)),
						},
						Advice: "give one of them another --ip, and keep static addresses outside of the network's --ip-range",
						Weight: 64,
					}
					if c.Error != "" {
						f.Evidence = append(f.Evidence, ev(diag.InspectCommand(c), strings.TrimSpace(c.Error), snap.RefContainer(c.Ref)))
					}
					out = append(out, f)
				}
			}
			return out
		},
	}
}

// holder is the running container that has the address another asks for.
func holder(in *diag.Input, n *snap.Network, c *snap.Container, e *snap.Endpoint) (*snap.Container, *snap.Endpoint) {
	if n == nil || !e.StaticIPv4.IsValid() {
		return nil, nil
	}
	for i := range in.Snap.Containers {
		o := &in.Snap.Containers[i]
		if o == c || !o.Running() {
			continue
		}
		for j := range o.Endpoints {
			x := &o.Endpoints[j]
			if in.Snap.NetworkOf(o.Engine, x) == n && x.IPv4.IsValid() && x.IPv4.Addr() == e.StaticIPv4 {
				return o, x
			}
		}
	}
	return nil, nil
}
