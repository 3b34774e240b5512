package testenv

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/ipam"
	"github.com/netdoctor/netdoctor/testenv/spec"
)

// vips gives virtual addresses to services of several containers, and takes
// those of services that are gone.
func (u *up) vips(ctx context.Context) error {
	for i := range u.st.Networks {
		n := &u.st.Networks[i]
		var want []snap.Service
		for j := range u.sp.Services {
			v := &u.sp.Services[j]
			on := slices.ContainsFunc(v.Networks, func(a spec.Attachment) bool { return a.Network == n.Net.Name })
			if !on || v.Replicas < 2 || v.RoundRobin || n.Net.Default || n.Hidden || !n.Pool(false).Subnet.IsValid() {
				continue
			}
			svc := snap.Service{Name: v.Name}
			if k := slices.IndexFunc(n.Net.Services, func(s snap.Service) bool { return s.Name == v.Name }); k >= 0 {
				svc = n.Net.Services[k]
			}
			want = append(want, svc)
		}
		if u.o.Keep {
			for _, s := range n.Net.Services {
				if !slices.ContainsFunc(want, func(w snap.Service) bool { return w.Name == s.Name }) {
					want = append(want, s)
				}
			}
		}
		if slices.EqualFunc(want, n.Net.Services, func(a, b snap.Service) bool { return a.Name == b.Name && a.VIP == b.VIP }) {
			continue
		}
		n.Net.Services = want
		for j := range n.Net.Services {
			if n.Net.Services[j].VIP.IsValid() {
				continue
			}
			taken := u.st.Taken(n.Net.Name)
			p := n.Pool(false)
			ip, err := (ipam.Subnet{Prefix: p.Subnet, Range: p.Range, Gateway: p.Gateway}).Lowest(func(a netip.Addr) bool { return taken[a] })
			if err != nil {
				return fmt.Errorf("virtual address of service %s: %w", n.Net.Services[j].Name, err)
			}
			n.Net.Services[j].VIP = ip
		}
		if u.o.DryRun {
			continue
		}
		if err := u.b.Make(ctx, "services of "+n.Net.Name, u.dir.PutNetwork(n)); err != nil {
			return err
		}
	}
	return nil
}

// balance brings the rules of virtual addresses in all containers up to date.
func (s *session) balance(ctx context.Context) error {
	list := driver.ServicesOf(s.st.Networks, s.st.Containers)
	e := &s.st.Env.Env
	for i := range s.st.Containers {
		c := &s.st.Containers[i]
		if c.Shared() || c.Foreign {
			continue
		}
		ops := driver.Services(e, c, list)
		now := ""
		for _, op := range ops {
			now += op.Describe() + "\n"
		}
		if now == c.Balanced {
			continue
		}
		if c.Balanced != "" {
			if err := s.b.Unmake(ctx, "services in "+c.Ctr.Name, driver.DropServices(e, c)...); err != nil {
				return err
			}
		}
		c.Balanced = now
		if err := s.b.Make(ctx, "services in "+c.Ctr.Name, append(ops, s.dir.PutContainer(c))...); err != nil {
			return err
		}
	}
	return nil
}
