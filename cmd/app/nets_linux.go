package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
	compose "github.com/netdoctor/netdoctor/testenv/spec"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// nets builds networks on this host.
type nets struct{}

func newNets() Nets { return nets{} }

func host(ns string) *testenv.Host { return &testenv.Host{HostNS: ns} }

// helper starts or ends the process of networks that were set up.
func helper(ctx context.Context, dir string, start bool) error {
	h := &testenv.Host{Dir: store.Dir(dir)}
	if start {
		return h.Wake(ctx)
	}
	return h.Rest(ctx)
}

// blame says whose fault an error is: what was begun and failed, what this
// process or kernel can't do, or what the caller asked for.
func blame(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, apply.ErrIncomplete), errors.Is(err, apply.ErrRolledBack):
		return kindOfChange(err)
	case errors.Is(err, context.Canceled), errors.Is(err, snap.ErrPermission), errors.Is(err, snap.ErrUnsupported), errors.Is(err, snap.ErrTool),
		errors.Is(err, snap.ErrTimeout), errors.Is(err, snap.ErrTorn),
		errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.EMFILE), errors.Is(err, unix.EACCES):
		return err // this machine's doing
	}
	return badFile{err}
}

func (nets) Setup(ctx context.Context, o SetupOptions, r *v1.SetupResult) error {
	sp := compose.Plain()
	if o.File != "" {
		in := o.Stdin
		if o.File != "-" {
			f, err := o.Open(o.File)
			if err != nil {
				return Usagef("opening %s: %v", o.File, err)
			}
			defer f.Close() //nolint:errcheck // only read
			in = f
		}
		const maxFile = 4 << 20
		var err error
		if sp, err = compose.Parse(io.LimitReader(in, maxFile)); err != nil {
			return badFile{fmt.Errorf("%s: %w", o.File, err)}
		}
	}
	rep, err := host(o.HostNS).Up(ctx, sp, testenv.UpOptions{
		Options: testenv.Options{Like: driver.Generation(o.Like), Firewall: o.Firewall, NoProxy: o.NoProxy}, Keep: o.File == "", DryRun: o.DryRun,
	})
	report(r, rep)
	return blame(err)
}

func report(r *v1.SetupResult, rep testenv.Report) {
	for _, c := range rep.Changes {
		m := v1.Made{Did: c.Did, What: c.What}
		if r.DryRun {
			for _, op := range fixups.Flat(c.Ops...) {
				if _, file := op.(*fixups.FilePut); !file {
					m.Do = append(m.Do, op.Shell()...)
				}
			}
		}
		r.Changes = append(r.Changes, m)
	}
	r.Warnings = append(r.Warnings, rep.Warnings...)
	if rep.State != nil {
		r.Networks, r.Containers = networkItems(rep.State), containerItems(rep.State)
	}
}

func (nets) Check(ctx context.Context, hostNS string, r *v1.SetupResult) error {
	drift, err := host(hostNS).Check(ctx)
	r.Drift = drift
	return blame(err)
}

func (nets) Teardown(ctx context.Context, hostNS string, dry bool, r *v1.SetupResult) error {
	rep, err := host(hostNS).Down(ctx, dry)
	rep.State = nil
	report(r, rep)
	return blame(err)
}

func (nets) Connect(ctx context.Context, o ConnectOptions, foreign *snap.Container, r *v1.SetupResult) error {
	at := testenv.AttachOptions{Network: o.Network, Aliases: o.Aliases, Foreign: foreign}
	var err error
	if at.IP.IPv4, err = address(o.IPv4); err != nil {
		return err
	}
	if at.IP.IPv6, err = address(o.IPv6); err != nil {
		return err
	}
	rep, err := host(o.Read.HostNS).Attach(ctx, o.Container, at)
	report(r, rep)
	return blame(err)
}

func address(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, Usagef("%q is no address", s)
	}
	return a, nil
}

func (nets) Disconnect(ctx context.Context, hostNS, network, container string, r *v1.SetupResult) error {
	rep, err := host(hostNS).Detach(ctx, container, network)
	report(r, rep)
	return blame(err)
}

func (nets) Run(ctx context.Context, o RunOptions) (string, int, error) {
	v := compose.Service{
		Hostname: o.Hostname, DNSSearch: o.DNSSearch, ExtraHosts: o.ExtraHosts, Links: o.Links, Command: o.Command, Environment: o.Env, NetworkMode: o.Mode,
	}
	if name, ok := strings.CutPrefix(o.Mode, "container:"); ok {
		v.NetworkMode = "service:" + name
	}
	for _, d := range o.DNS {
		a, err := netip.ParseAddr(d)
		if err != nil {
			return "", 0, Usagef("--dns: %q is no address", d)
		}
		v.DNS = append(v.DNS, a)
	}
	for _, p := range o.Ports {
		list, err := compose.Ports(p)
		if err != nil {
			return "", 0, badFile{err}
		}
		v.Ports = append(v.Ports, list...)
	}
	ip, err := address(o.IPv4)
	if err != nil {
		return "", 0, err
	}
	for i, n := range o.Networks {
		a := compose.Attachment{Network: n, Aliases: o.Aliases}
		if i == 0 {
			a.IPv4 = ip
		}
		v.Networks = append(v.Networks, a)
	}
	name, code, err := host(o.HostNS).Run(ctx, testenv.RunOptions{Name: o.Name, Service: v, Detach: o.Detach, Stdin: o.Std.In, Stdout: o.Std.Out, Stderr: o.Std.Err})
	return name, code, blame(err)
}

func (nets) Exec(ctx context.Context, container string, command []string, std Std) (int, error) {
	code, err := host("").Exec(ctx, container, command, std.In, std.Out, std.Err)
	return code, blame(err)
}

func (nets) List(context.Context) ([]v1.Item, error) {
	st, err := host("").Status()
	if err != nil || st == nil {
		return nil, blame(err)
	}
	return containerItems(st), nil
}

func (nets) Has(name string) bool {
	st, err := host("").Status()
	return err == nil && st != nil && st.Container(name) != nil
}

func networkItems(st *store.State) []v1.Item {
	var out []v1.Item
	for i := range st.Networks {
		n := &st.Networks[i]
		it := v1.Item{Kind: "network", Name: n.Net.Name, ID: n.Net.ID[:12], Target: "net:" + n.Net.Name, Detail: n.Net.Driver}
		if n.Net.Internal {
			it.Detail += ", internal"
		}
		for _, p := range n.Net.Pools {
			it.Addresses = append(it.Addresses, p.Subnet.String())
		}
		for j := range st.Containers {
			if st.Containers[j].Endpoint(n.Net.Name) != nil {
				it.Networks = append(it.Networks, st.Containers[j].Ctr.Name)
			}
		}
		out = append(out, it)
	}
	return out
}

func containerItems(st *store.State) []v1.Item {
	var out []v1.Item
	for i := range st.Containers {
		c := &st.Containers[i]
		it := v1.Item{Kind: "container", Name: c.Ctr.Name, ID: c.Ctr.ID[:12], State: c.Ctr.State, Target: c.Ctr.Ref, Netns: c.Ctr.SandboxKey, Detail: strings.Join(c.Command, " ")}
		if c.Ctr.State == "exited" {
			it.State = "exited (" + strconv.Itoa(c.Ctr.ExitCode) + ")"
		}
		for _, ep := range c.Ctr.Endpoints {
			if ep.Network == "" {
				continue
			}
			it.Networks = append(it.Networks, ep.Network)
			for _, p := range []netip.Prefix{ep.IPv4, ep.IPv6} {
				if p.IsValid() {
					it.Addresses = append(it.Addresses, p.Addr().String())
				}
			}
		}
		if m := c.Ctr.NetworkMode; len(it.Networks) == 0 && (m == "host" || m == "none" || strings.HasPrefix(m, "container:")) {
			it.Networks = []string{m}
		}
		for _, p := range c.Ctr.Ports {
			it.Ports = append(it.Ports, fmt.Sprintf("%s→%d/%s", netip.AddrPortFrom(p.HostIP, p.HostPort), p.ContainerPort, p.Proto))
		}
		out = append(out, it)
	}
	return out
}
