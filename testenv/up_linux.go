package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/spec"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// Change is one thing that was made, changed or taken away.
type Change struct {
	Did  string // "made", "removed", "started", "updated"
	What string // "network app", "container web"
	Ops  []fixups.Op
}

// Report is what a run did.
type Report struct {
	Changes  []Change
	Warnings []string
	State    *store.State
}

// UpOptions are those of a set-up.
type UpOptions struct {
	Options
	// Keep leaves what the spec does not name: a set-up without a file adds only.
	Keep bool
	// DryRun gives the changes with their operations and makes none.
	DryRun bool
}

// Up makes what the spec asks for. What is there as asked for stays; what is
// not in the spec any more goes, unless it was started or connected by hand.
func (h *Host) Up(ctx context.Context, sp *spec.Spec, o UpOptions) (Report, error) {
	s, err := h.open(ctx, &o.Options)
	if err != nil {
		return Report{}, err
	}
	defer s.close()
	u := &up{session: s, sp: sp, o: o}
	err = u.run(ctx)
	if _, e := os.Stat(s.dir.Path("env.json")); os.IsNotExist(e) { // nothing was made
		err = errors.Join(err, s.clean())
	}
	return Report{Changes: u.changes, Warnings: s.warnings, State: s.st}, err
}

type up struct {
	*session
	// rehearsal: nothing is changed, and nobody is told. held are the ports that
	// our own helper listens on.
	rehearsal bool
	held      []snap.Port
	sp        *spec.Spec
	o         UpOptions
	changes   []Change
}

func (u *up) did(did, what string, ops []fixups.Op) {
	u.changes = append(u.changes, Change{did, what, ops})
}

func (u *up) run(ctx context.Context) error {
	if err := u.possible(); err != nil {
		return err
	}
	if len(u.st.Networks) == 0 {
		if err := u.passable(ctx); err != nil {
			return err
		}
	}
	if !u.o.DryRun {
		if err := u.roomy(); err != nil {
			return err
		}
		if err := u.rehearse(ctx); err != nil {
			return err
		}
	}
	if len(u.st.Networks) > 0 {
		if err := u.repair(ctx); err != nil {
			return err
		}
	}
	if err := u.build(ctx); err != nil || u.o.DryRun {
		return err
	}
	return u.balance(ctx)
}

// build takes away what is not wanted any more, and makes what is missing.
func (u *up) build(ctx context.Context) error {
	if err := u.surplus(ctx); err != nil {
		return err
	}
	for i := range u.sp.Networks {
		if err := u.network(ctx, &u.sp.Networks[i]); err != nil {
			return err
		}
	}
	if err := u.vips(ctx); err != nil {
		return err
	}
	if !u.o.DryRun {
		u.b.Expect(u.boxes(), driver.Every(&u.st.Env.Env, fixups.Where{})...)
	}
	for _, v := range u.sp.Order() {
		for _, name := range v.Containers() {
			if err := u.container(ctx, v, name); err != nil {
				return errors.Join(err, u.attend(context.WithoutCancel(ctx), 0))
			}
		}
	}
	return u.attend(ctx, 0)
}

// boxes is how many namespaces of containers are to be made.
func (u *up) boxes() int {
	n := 0
	for i := range u.sp.Services {
		v := &u.sp.Services[i]
		if v.NetworkMode == "host" || strings.HasPrefix(v.NetworkMode, "service:") {
			continue
		}
		for _, name := range v.Containers() {
			if u.st.Container(name) == nil {
				n++
			}
		}
	}
	return n
}

// surplus takes away what the spec does not want, or wants otherwise.
func (u *up) surplus(ctx context.Context) error {
	want := map[string]string{}
	for i := range u.sp.Services {
		for _, name := range u.sp.Services[i].Containers() {
			want[name] = text(&u.sp.Services[i])
		}
	}
	changed := map[string]bool{}
	for i := range u.st.Networks {
		n := &u.st.Networks[i]
		w := u.sp.Network(n.Net.Name)
		changed[n.Net.Name] = w != nil && text(w) != n.Spec || w == nil && !u.o.Keep && n.Spec != "" && !n.Hidden
	}
	for _, c := range slices.Clone(u.st.Containers) {
		t, wanted := want[c.Ctr.Name]
		gone := c.Spec != "" && (wanted && t != c.Spec || !wanted && !u.o.Keep) || wanted && c.Spec == ""
		if c.Spec != "" && wanted && !gone && !c.Shared() && !alive(c.Ctr.PID, &c) {
			gone = true // its process ended: it is made anew
		}
		for _, ep := range c.Ctr.Endpoints {
			if changed[ep.Network] && c.Spec != "" {
				gone = true
			} else if changed[ep.Network] {
				return fmt.Errorf("network %s changes, and container %s, which no file names, is on it: disconnect it first", ep.Network, c.Ctr.Name)
			}
		}
		if gone {
			u.did("removed", "container "+c.Ctr.Name, nil)
			if !u.o.DryRun {
				if err := u.remove(ctx, &c); err != nil {
					return err
				}
			}
			u.forget(c.Ctr.ID)
		}
	}
	for _, n := range slices.Clone(u.st.Networks) {
		if changed[n.Net.Name] {
			ops := append(fixups.UnmakeAll(driver.Up(&u.st.Env.Env, &n)...), u.dir.DropNetwork(&n))
			u.did("removed", "network "+n.Net.Name, ops)
			if !u.o.DryRun {
				if err := u.b.Unmake(ctx, "network "+n.Net.Name, ops...); err != nil {
					return err
				}
			}
			u.st.Networks = snap.Without(u.st.Networks, func(x driver.Network) bool { return x.Net.ID == n.Net.ID })
		}
	}
	return nil
}

// network makes a network that is not there.
func (u *up) network(ctx context.Context, w *spec.Network) error {
	if u.st.Network(w.Name) != nil {
		return nil
	}
	ops, n, err := u.planNetwork(ctx, w)
	if err != nil {
		return err
	}
	u.did("made", "network "+w.Name, ops)
	if !u.o.DryRun {
		if err := u.b.MakeThen(ctx, "network "+w.Name, u.keep, append(ops, u.dir.PutNetwork(n))...); err != nil {
			return fmt.Errorf("network %s: %w", w.Name, err)
		}
	}
	if w.Driver == "overlay" {
		return u.wayOut(ctx)
	}
	return nil
}

// wayOut makes the bridge by which containers of overlay networks reach the
// world (moby: docker_gwbridge).
func (u *up) wayOut(ctx context.Context) error {
	if u.st.Network("gwbridge") != nil {
		return nil
	}
	return u.network(ctx, &spec.Network{Name: "gwbridge", Driver: "bridge", Options: map[string]string{"com.docker.network.bridge.enable_icc": "false"}})
}

// planNetwork chooses a network and plans it, with the frame if it is the first.
func (s *session) planNetwork(ctx context.Context, w *spec.Network) ([]fixups.Op, *driver.Network, error) {
	if err := s.look(ctx); err != nil {
		return nil, nil, err
	}
	n, err := s.chooser.network(w)
	if err != nil {
		return nil, nil, err
	}
	if w.Name == "gwbridge" {
		n.Hidden, n.Net.DNS = true, false
	}
	var ops []fixups.Op
	e := &s.st.Env.Env
	if n.Net.Driver == "bridge" {
		if !s.st.Env.Frame4 {
			s.st.Env.Frame4 = true
			ops = append(ops, driver.Frame(e, false)...)
			ops = append(ops, s.forwarding(false)...)
		}
		if n.Pool(true).Subnet.IsValid() && !s.st.Env.Frame6 {
			s.st.Env.Frame6 = true
			ops = append(ops, driver.Frame(e, true)...)
			ops = append(ops, s.forwarding(true)...)
		}
	}
	ops = append(ops, driver.Up(e, n)...)
	if err := s.devices(n); err != nil {
		return nil, nil, err
	}
	s.st.Networks = append(s.st.Networks, *n)
	return ops, n, nil
}

// forwarding turns forwarding on where it is off.
func (s *session) forwarding(v6 bool) []fixups.Op {
	key := "net/ipv4/ip_forward"
	if v6 {
		key = "net/ipv6/conf/all/forwarding"
	}
	if s.sysctl(key) == "1" {
		return nil
	}
	if ops := driver.Forwarding(&s.st.Env.Env, v6); ops != nil {
		if _, drops := ops[len(ops)-1].(*fixups.ChainPolicy); drops {
			s.st.Env.Drop4, s.st.Env.Drop6 = s.st.Env.Drop4 || !v6, s.st.Env.Drop6 || v6
		}
		return ops
	}
	s.warnings = append(s.warnings, "forwarding was off and is turned on; nothing keeps others from using this host as a router: see nft's forward hook")
	return []fixups.Op{&fixups.SysctlSet{Where: s.b.Host(), Key: key, Value: "1"}}
}

// container makes a container of a service.
func (u *up) container(ctx context.Context, v *spec.Service, name string) error {
	if c := u.st.Container(name); c != nil {
		return nil
	}
	free := u.freePort
	if u.rehearsal {
		free = u.freeForUs
	}
	c, err := u.plan(name, v, free)
	if err != nil {
		return err
	}
	c.Spec = text(v)
	if u.rehearsal {
		return nil
	}
	ops := u.containerOps(c)
	u.did("made", "container "+name, ops)
	if u.o.DryRun {
		return nil
	}
	if err := u.create(ctx, c, ops, start{detach: true}); err != nil {
		return err
	}
	return u.attend(ctx, maxBirths)
}

// forget takes a container out of the state in memory.
func (s *session) forget(id string) {
	s.st.Containers = snap.Without(s.st.Containers, func(x driver.Container) bool { return x.Ctr.ID == id })
}

// plan chooses everything for a container of a service.
func (s *session) plan(name string, v *spec.Service, free func(snap.Port) error) (*driver.Container, error) {
	c := s.chooser.container(name, v)
	if other, ok := strings.CutPrefix(v.NetworkMode, "service:"); ok {
		to := s.st.Container(other)
		if svc := s.byService(other); svc != nil {
			to = svc
		}
		if to == nil {
			return nil, snap.NotFoundf("container %s: there is no container %q whose namespace it could share", name, other)
		}
		c.Ctr.NetworkMode, c.Ctr.SandboxKey = "container:"+to.Ctr.ID, to.Ctr.SandboxKey
		c.Ctr.ResolvConfPath, c.Ctr.HostsPath = to.Ctr.ResolvConfPath, to.Ctr.HostsPath
		s.st.Containers = append(s.st.Containers, *c)
		return &s.st.Containers[len(s.st.Containers)-1], nil
	}
	if c.Ctr.NetworkMode == "host" {
		c.Ctr.SandboxKey = ""
	}
	var first *driver.Network
	way := false
	for _, a := range v.Networks {
		n := s.st.Network(a.Network)
		if n == nil {
			return nil, snap.NotFoundf("container %s: there is no network %q", name, a.Network)
		}
		a.Aliases = slices.Clone(a.Aliases)
		if v.Replicas == 1 || v.RoundRobin {
			a.Aliases = append(a.Aliases, v.Name)
		}
		if v.Replicas > 1 { // as a swarm names all of a service's containers
			a.Aliases = append(a.Aliases, "tasks."+v.Name)
		}
		if _, err := s.endpoint(c, n, a); err != nil {
			return nil, err
		}
		way = way || n.Net.Driver == "overlay" && !n.Net.Internal
		if first == nil {
			first = n
		}
	}
	if gw := s.st.Network("gwbridge"); way && gw != nil {
		if _, err := s.endpoint(c, gw, spec.Attachment{Network: "gwbridge"}); err != nil {
			return nil, err
		}
	}
	if err := s.chooser.ports(c, first, v.Ports, free); err != nil {
		return nil, err
	}
	s.resolver(c)
	s.st.Containers = append(s.st.Containers, *c)
	return &s.st.Containers[len(s.st.Containers)-1], nil
}

func (s *session) byService(name string) *driver.Container {
	for i := range s.st.Containers {
		if s.st.Containers[i].Ctr.Service == name {
			return &s.st.Containers[i]
		}
	}
	return nil
}

// containerOps make a container's namespace with everything in it, and its
// files.
func (s *session) containerOps(c *driver.Container) []fixups.Op {
	nets := s.st.Nets()
	var before [2]int
	if ep := driver.Publisher(&s.st.Env.Env, c, nets); ep != nil {
		before = s.published(ep.Network, c)
	}
	return append(driver.Kernel(&s.st.Env.Env, nets, c, before), fileOps(s.st, c, s.sur.resolv, false)...)
}

// published is how many rules a network's published ports have, without those
// of one container.
func (s *session) published(network string, but *driver.Container) [2]int {
	return driver.Published(&s.st.Env.Env, s.st.Nets(), s.st.Containers, network, but.Ctr.ID)
}
