package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/spec"
)

// supported says whether this kernel has devices of a kind.
func supported(kind string) error { return apply.Supports(context.Background(), kind) }

// sysctl reads a value of the host; "" when it can't be read.
func (s *session) sysctl(key string) string {
	b, err := os.ReadFile("/proc/sys/" + key)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// create makes a container and begins its process, which attend sees to.
func (s *session) create(ctx context.Context, c *driver.Container, ops []fixups.Op, st start) error {
	what := "container " + c.Ctr.Name
	c.Ctr.State = "created"
	if err := s.b.MakeThen(ctx, what, s.keep, append(ops, s.dir.PutContainer(c))...); err != nil {
		s.forget(c.Ctr.ID)
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := s.bear(ctx, c, st); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", what, err), s.remove(context.WithoutCancel(ctx), c))
	}
	return nil
}

// remove ends a container's process and takes it away.
func (s *session) remove(ctx context.Context, c *driver.Container) error {
	if !c.Foreign {
		if err := kill(ctx, c.Ctr.PID, c.Start); err != nil {
			return fmt.Errorf("container %s: %w", c.Ctr.Name, err)
		}
	}
	id := c.Ctr.ID
	ops := append([]fixups.Op{s.dir.DropContainer(c)}, fixups.UnmakeAll(s.containerOps(c)...)...)
	if c.Foreign {
		ops = append([]fixups.Op{s.dir.DropContainer(c)}, fixups.UnmakeAll(s.foreignOps(c)...)...)
	} else {
		for _, f := range []string{"log", "exit"} {
			ops = append(ops, &fixups.FilePut{Path: s.dir.Files(id) + "/" + f})
		}
	}
	err := s.b.Unmake(ctx, "container "+c.Ctr.Name, ops...)
	gone := *c
	s.forget(id)
	return errors.Join(err, s.tell(ctx, id), s.forgetFlows(ctx, &gone))
}

// AttachOptions say how a container is connected.
type AttachOptions struct {
	Network string
	Aliases []string
	IP      spec.Attachment // IPv4, IPv6 and MAC as asked for
	// Foreign is somebody else's container, or a process: its namespace. nil: the
	// name is that of one of ours.
	Foreign *snap.Container
}

// Attach connects a running container to a network. A container of others only
// gets the device with its addresses.
func (h *Host) Attach(ctx context.Context, name string, o AttachOptions) (Report, error) {
	s, err := h.open(ctx, nil)
	if err != nil {
		return Report{}, err
	}
	defer s.close()
	ep, err := s.attach(ctx, name, o)
	r := Report{Warnings: s.warnings, State: s.st}
	if err == nil {
		r.Changes = []Change{{Did: "connected", What: fmt.Sprintf("container %s to network %s as %s", name, o.Network, ep.IPv4.Addr())}}
	}
	return r, err
}

func (s *session) attach(ctx context.Context, name string, o AttachOptions) (*snap.Endpoint, error) {
	n := s.st.Network(o.Network)
	if n == nil {
		return nil, snap.NotFoundf("there is no network %q", o.Network)
	}
	c := s.st.Container(name)
	if c == nil && o.Foreign != nil {
		f := *o.Foreign
		f.Name, f.Ref, f.Engine = name, driver.Engine+":"+name, driver.Engine
		f.ID, f.Endpoints, f.Ports = newID(), append([]snap.Endpoint{}, linksOf(o.Foreign)...), []snap.Port{}
		s.st.Containers = append(s.st.Containers, driver.Container{Ctr: f, OwnContainer: snap.OwnContainer{Seq: s.seq()}, Foreign: true})
		c = &s.st.Containers[len(s.st.Containers)-1]
	}
	if c == nil {
		return nil, snap.NotFoundf("there is no container %q", name)
	}
	if c.Shared() {
		return nil, fmt.Errorf("container %s lives in the namespace of %s, and can't be connected", name, c.Ctr.NetworkMode)
	}
	if c.Ctr.NetworkMode == "none" {
		return nil, fmt.Errorf("container %s was started with no network, and can't be connected", name)
	}
	e, nets := &s.st.Env.Env, s.st.Nets()
	before := [2]*snap.Endpoint{clone(driver.Gateway(e, c, nets, false)), clone(driver.Gateway(e, c, nets, true))}
	want := o.IP
	want.Network, want.Aliases = o.Network, o.Aliases
	if n.Net.DNS && c.Ctr.Service == c.Ctr.Name {
		want.Aliases = append(slices.Clone(want.Aliases), c.Ctr.Service)
	}
	ep, err := s.endpoint(c, n, want)
	if err != nil {
		return nil, err
	}
	ops := driver.Attach(e, n, c, ep)
	if !c.Foreign {
		ops = append(ops, s.reroute(c, before)...)
		if s.resolver(c) {
			ops = append(ops, driver.DNS(e, c)...)
		}
		if pub := driver.Publisher(e, c, nets); pub != nil && pub.Network == n.Net.Name && before[0] == nil && before[1] == nil {
			ops = append(ops, driver.Publish(e, n, pub, c.Ctr.Ports, s.published(n.Net.Name, c))...)
		}
		ops = append(ops, fileOps(s.st, c, s.sur.resolv, true)...)
	}
	ops = append(ops, s.dir.PutContainer(c))
	if err := s.b.MakeThen(ctx, "connect "+name, s.keep, ops...); err != nil {
		return nil, err
	}
	return ep, errors.Join(s.tell(ctx, c.Ctr.ID), s.forgetFlows(ctx, c))
}

// linksOf stand for the devices that a foreign container has already, so that
// the new one gets a name that is free.
func linksOf(c *snap.Container) []snap.Endpoint {
	var out []snap.Endpoint
	for _, ep := range c.Endpoints {
		out = append(out, snap.Endpoint{Network: "", Link: ep.Link})
	}
	return out
}

func clone(ep *snap.Endpoint) *snap.Endpoint {
	if ep == nil {
		return nil
	}
	c := *ep
	return &c
}

// reroute moves the default routes where another network's gateway is the way
// out now.
func (s *session) reroute(c *driver.Container, before [2]*snap.Endpoint) []fixups.Op {
	var ops []fixups.Op
	e, nets := &s.st.Env.Env, s.st.Nets()
	for i, v6 := range []bool{false, true} {
		now := driver.Gateway(e, c, nets, v6)
		if was := before[i]; was != nil && now != nil && was.Network == now.Network || was == nil && now == nil {
			continue
		} else if was != nil {
			ops = append(ops, fixups.Unmake(driver.DefaultRoute(e, c, was, v6)))
		}
		if r := driver.DefaultRoute(e, c, now, v6); r != nil {
			ops = append(ops, r)
		}
	}
	return ops
}

// foreignOps are what was made for somebody else's container.
func (s *session) foreignOps(c *driver.Container) []fixups.Op {
	return driver.Attached(&s.st.Env.Env, s.st.Nets(), c)
}

// Detach takes a container off a network.
func (h *Host) Detach(ctx context.Context, name, network string) (Report, error) {
	s, err := h.open(ctx, nil)
	if err != nil {
		return Report{}, err
	}
	defer s.close()
	err = s.detach(ctx, name, network)
	r := Report{State: s.st}
	if err == nil {
		r.Changes = []Change{{Did: "disconnected", What: fmt.Sprintf("container %s from network %s", name, network)}}
	}
	return r, err
}

func (s *session) detach(ctx context.Context, name, network string) error {
	c, n := s.st.Container(name), s.st.Network(network)
	if n == nil {
		return snap.NotFoundf("there is no network %q", network)
	}
	if c == nil {
		return snap.NotFoundf("there is no container %q", name)
	}
	ep := c.Endpoint(network)
	if ep == nil {
		return snap.NotFoundf("container %s is not on network %s", name, network)
	}
	e, nets := &s.st.Env.Env, s.st.Nets()
	gone := driver.Attach(e, n, c, ep)
	pub := driver.Publisher(e, c, nets)
	moved := pub != nil && pub.Network == network
	if moved {
		gone = append(gone, driver.Publish(e, n, pub, c.Ctr.Ports, [2]int{})...)
	}
	for _, v6 := range []bool{false, true} {
		if g := driver.Gateway(e, c, nets, v6); g != nil && g.Network == network {
			gone = append(gone, driver.DefaultRoute(e, c, g, v6))
		}
	}
	ops := fixups.UnmakeAll(gone...)
	c.Ctr.Endpoints = snap.Without(c.Ctr.Endpoints, func(x snap.Endpoint) bool { return x.Network == network })
	delete(c.Order, network)
	var more []fixups.Op
	if !c.Foreign {
		for _, v6 := range []bool{false, true} {
			if r := driver.DefaultRoute(e, c, driver.Gateway(e, c, nets, v6), v6); r != nil {
				more = append(more, r)
			}
		}
		if pub := driver.Publisher(e, c, nets); moved && pub != nil {
			more = append(more, driver.Publish(e, nets[pub.Network], pub, c.Ctr.Ports, s.published(pub.Network, c))...)
		}
		ops = append(ops, fileOps(s.st, c, s.sur.resolv, true)...)
	}
	if c.Foreign && !slices.ContainsFunc(c.Ctr.Endpoints, func(x snap.Endpoint) bool { return x.Network != "" }) {
		ops = append(ops, s.dir.DropContainer(c))
	} else {
		ops = append(ops, s.dir.PutContainer(c))
	}
	id := c.Ctr.ID
	if err := s.b.Unmake(ctx, "disconnect "+name, ops...); err != nil {
		return err
	}
	if err := s.b.Make(ctx, "disconnect "+name, more...); err != nil {
		return err
	}
	if c := s.st.Container(id); c != nil && moved {
		if err := s.forgetFlows(ctx, c); err != nil {
			return err
		}
	}
	return s.tell(ctx, id)
}
