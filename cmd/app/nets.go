package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Nets builds networks of our own. Errors that are the caller's fault are of the
// kind ErrUsage, those of changes that failed of ErrRolledBack or
// ErrRollbackIncomplete.
type Nets interface {
	// Setup fills in what was, or would be, done.
	Setup(context.Context, SetupOptions, *v1.SetupResult) error
	// Check fills in what drifted.
	Check(context.Context, string, *v1.SetupResult) error
	Teardown(ctx context.Context, hostNS string, dry bool, r *v1.SetupResult) error
	// Connect connects a container: one of ours, or the one given.
	Connect(context.Context, ConnectOptions, *snap.Container, *v1.SetupResult) error
	Disconnect(ctx context.Context, hostNS, network, container string, r *v1.SetupResult) error
	// Run gives the container's name, and in the foreground the command's code.
	Run(context.Context, RunOptions) (string, int, error)
	Exec(ctx context.Context, container string, command []string, std Std) (int, error)
	// List are the containers.
	List(context.Context) ([]v1.Item, error)
	// Has says whether there is a container of ours of that name.
	Has(name string) bool
}

// SetupOptions are those of setup.
type SetupOptions struct {
	HostNS   string
	File     string // "": the default bridge and one custom network; "-" is Stdin
	Stdin    io.Reader
	Check    bool
	Like     string // 20.10, 29-iptables, 29-nftables; "" the host's Docker, else nftables
	Firewall string // iptables, nftables; "" as Like
	NoProxy  bool
	DryRun   bool
	Open     func(string) (io.ReadCloser, error)
}

// ConnectOptions are those of connect.
type ConnectOptions struct {
	Common
	Network, Container string
	Aliases            []string
	IPv4, IPv6         string
}

// Std are a command's standard streams.
type Std struct{ In, Out, Err *os.File }

// RunOptions are those of run.
type RunOptions struct {
	HostNS     string
	Name       string
	Networks   []string
	Aliases    []string
	Ports      []string
	DNS        []string
	DNSSearch  []string
	ExtraHosts []string
	Links      []string
	Env        []string
	Hostname   string
	IPv4       string
	Mode       string // "", "host", "none", "container:NAME"
	Detach     bool
	Command    []string
	Std        Std
}

func (a *App) nets() (Nets, error) {
	if a.Nets == nil {
		return nil, fmt.Errorf("building networks: %w", snap.ErrUnsupported)
	}
	return a.Nets, nil
}

// Setup builds what a file asks for, or says what drifted from it.
func (a *App) Setup(ctx context.Context, o SetupOptions) (*v1.SetupResult, error) {
	start := a.now()
	n, err := a.nets()
	if err != nil {
		return nil, err
	}
	o.Open = a.Open
	r := &v1.SetupResult{Action: "setup", DryRun: o.DryRun}
	if o.Check {
		r.Action = "check"
		err = n.Check(ctx, o.HostNS, r)
	} else {
		err = n.Setup(ctx, o, r)
	}
	for _, w := range r.Warnings {
		a.note("%s", w)
	}
	r.Head = a.head(v1.KindSetup, start)
	if err != nil {
		return nil, err
	}
	if o.DryRun && len(r.Changes) > 0 {
		return r, ErrPending
	}
	return r, nil
}

// Teardown takes everything away that was set up.
func (a *App) Teardown(ctx context.Context, hostNS string, dry bool) (*v1.SetupResult, error) {
	start := a.now()
	n, err := a.nets()
	if err != nil {
		return nil, err
	}
	r := &v1.SetupResult{Action: "teardown", DryRun: dry}
	err = n.Teardown(ctx, hostNS, dry, r)
	for _, w := range r.Warnings {
		a.note("%s", w)
	}
	r.Head = a.head(v1.KindSetup, start)
	if err != nil {
		return nil, err
	}
	if dry && len(r.Changes) > 0 {
		return r, ErrPending
	}
	return r, nil
}

// Connect puts a running container on one of our networks: ours by its name,
// others' as a target.
func (a *App) Connect(ctx context.Context, o ConnectOptions) (*v1.SetupResult, error) {
	start := a.now()
	n, err := a.nets()
	if err != nil {
		return nil, err
	}
	var foreign *snap.Container
	if !n.Has(o.Container) {
		if foreign, err = a.foreign(ctx, o); err != nil {
			return nil, err
		}
	}
	r := &v1.SetupResult{Action: "connect"}
	err = n.Connect(ctx, o, foreign, r)
	r.Head = a.head(v1.KindSetup, start)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// foreign finds somebody else's container, or a process's namespace.
func (a *App) foreign(ctx context.Context, o ConnectOptions) (*snap.Container, error) {
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	t, err := finder{s}.any(o.Container)
	if err != nil {
		return nil, err
	}
	ns := s.Ns(t.Netns)
	if t.Kind == kindHost {
		return nil, Usagef("%s lives in the host's own namespace, and can't be connected", o.Container)
	}
	if t.Kind != kindContainer && t.Kind != kindNetns || ns == nil {
		return nil, Usagef("%s is neither a container nor a process: it can't be connected", o.Container)
	}
	if ns.ID == s.Host.Netns {
		return nil, Usagef("%s lives in the host's own namespace, and can't be connected", o.Container)
	}
	c := &snap.Container{Netns: ns.ID, SandboxKey: ns.Path}
	if len(ns.Pids) > 0 {
		c.PID = ns.Pids[0]
		c.SandboxKey = fmt.Sprintf("/proc/%d/ns/net", c.PID)
	}
	if t.Container != nil && t.Container.PID != 0 {
		c.PID = t.Container.PID
		c.SandboxKey = fmt.Sprintf("/proc/%d/ns/net", c.PID)
	}
	for _, l := range ns.Links { // its devices' names are taken
		c.Endpoints = append(c.Endpoints, snap.Endpoint{Link: l.Name})
	}
	return c, nil
}

// Disconnect takes a container off a network of ours.
func (a *App) Disconnect(ctx context.Context, hostNS, network, container string) (*v1.SetupResult, error) {
	start := a.now()
	n, err := a.nets()
	if err != nil {
		return nil, err
	}
	r := &v1.SetupResult{Action: "disconnect"}
	err = n.Disconnect(ctx, hostNS, network, container, r)
	r.Head = a.head(v1.KindSetup, start)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Run starts a command in a container of its own.
func (a *App) Run(ctx context.Context, o RunOptions) (string, int, error) {
	n, err := a.nets()
	if err != nil {
		return "", 0, err
	}
	return n.Run(ctx, o)
}

// Exec runs a command beside a container's own.
func (a *App) Exec(ctx context.Context, container string, command []string, std Std) (int, error) {
	n, err := a.nets()
	if err != nil {
		return 0, err
	}
	return n.Exec(ctx, strings.TrimPrefix(container, "netdoctor:"), command, std)
}

// Ps lists our containers.
func (a *App) Ps(ctx context.Context) (*v1.ListResult, error) {
	start := a.now()
	n, err := a.nets()
	if err != nil {
		return nil, err
	}
	items, err := n.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		a.note("those that netdoctor run started; netdoctor ls lists the containers of every engine")
	}
	return &v1.ListResult{Of: "containers", Items: items, Head: a.head(v1.KindList, start)}, nil
}
