package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// podStore is one place where Podman keeps containers: the options that its
// global flags of the same names set. Podman has no daemon; each store is what
// one user's command sees.
type podStore struct {
	root, runroot, netdir string
}

// Defaults of Podman run by root (containers/storage types/options.go,
// containers/common libnetwork/util). Anybody else's networks lie in his store
// (containers/common libnetwork/network/interface.go: getDefaultNetavarkConfigDir).
const (
	podRoot    = "/var/lib/containers/storage"
	podRunroot = "/run/containers/storage"
	podNetdir  = "/etc/containers/networks"
	podSocket  = "/run/podman/podman.sock"
	podRun     = "/run/containers/networks"
)

// conmon is the monitor of one container: Podman's shim.
type conmon struct {
	*proc
	id, name string
	store    podStore
}

// conmons lists those of this host's namespace, of any user.
func (m *machine) conmons() []conmon {
	var out []conmon
	for _, p := range m.procs {
		if p.comm != "conmon" || p.state == "Z" || !m.here(p) {
			continue
		}
		args := p.args()
		c := conmon{proc: p, store: podStore{podRoot, podRunroot, ""}}
		one := func(into *string, list []string, names ...string) {
			if v := flagValues(list, names...); len(v) > 0 && v[0] != "" { // what was not set is handed on empty
				*into = v[0]
			}
		}
		one(&c.id, args, "-c", "--cid")
		one(&c.name, args, "-n", "--name")
		// The command that cleans up has the flags Podman was called with.
		exit := flagValues(args, "--exit-command-arg")
		one(&c.store.root, exit, "--root")
		one(&c.store.runroot, exit, "--runroot")
		one(&c.store.netdir, exit, "--network-config-dir")
		if c.store.netdir == "" {
			c.store.netdir = m.podNetdir(&c)
		}
		// CRI-O has conmons, too, without a command at exit.
		if cmd := flagValues(args, "--exit-command"); isID(c.id) && len(cmd) > 0 && filepath.Base(cmd[0]) == "podman" {
			out = append(out, c)
		}
	}
	snap.Sort(out, func(a, b conmon) int { return strings.Compare(a.id, b.id) })
	return out
}

// podNetdir is where a container's networks are defined if nobody said where: whoever
// looks from within the user's own namespace sees him as root.
func (m *machine) podNetdir(c *conmon) string {
	own := filepath.Join(c.store.root, "networks")
	if c.uid != 0 || c.trusted() && exists(m.files(c.proc, own)) {
		return own
	}
	return podNetdir
}

// podmanRead is one reading of Podman under way.
type podmanRead struct {
	m    *machine
	res  Result
	seen map[string]*snap.Container
}

func (r *podmanRead) gap(what string, err error) {
	g := snap.GapOf(what, "", err)
	g.Ref = snap.RefEngine(Podman)
	r.res.Gaps = append(r.res.Gaps, g)
}

// readPodman reads the databases of every store that a running container or
// the defaults tell, and the processes that no readable store knows. The podman
// command is not run: with other flags than the containers were made with it
// may take the machine for rebooted, and resets its state.
func readPodman(ctx context.Context, m *machine) Result {
	r := &podmanRead{m: m, seen: map[string]*snap.Container{}}
	monitors := m.conmons()
	stores, from := r.stores(monitors)
	if len(stores) == 0 && len(monitors) == 0 {
		return Result{}
	}
	e := snap.Engine{Name: Podman, Reachable: len(stores) > 0, IPTables: true, IP6Tables: true, IPForward: true}
	if len(stores) > 0 {
		e.DataRoot, e.ExecRoot = stores[0].root, stores[0].runroot
		e.Rules = r.varkRules(from[stores[0].root])
	}
	if exists(m.path(podSocket)) {
		e.Endpoint = "unix://" + podSocket
	}
	for _, s := range stores {
		if err := r.store(ctx, s, from[s.root]); err != nil {
			e.Reachable = false
			e.Error = err.Error()
			r.gap(Podman, err)
		}
	}
	for i := range monitors {
		r.monitored(&monitors[i])
	}
	r.finish()
	if len(monitors) == 0 && len(r.res.Containers) == 0 && len(r.res.Networks) == 0 && e.Error == "" {
		return r.res // a store that nothing is in: podman was here once
	}
	r.res.Engines = []snap.Engine{e}
	return r.res
}

// stores lists the stores of root and of this program's user, and the process
// through which each was found (nil for the default one).
func (r *podmanRead) stores(monitors []conmon) ([]podStore, map[string]*proc) {
	var out []podStore
	from := map[string]*proc{}
	for _, c := range monitors {
		if c.trusted() && !slices.ContainsFunc(out, func(s podStore) bool { return s.root == c.store.root }) {
			out = append(out, c.store)
			from[c.store.root] = c.proc
		}
	}
	std := podStore{podRoot, podRunroot, podNetdir}
	if !slices.ContainsFunc(out, func(s podStore) bool { return s.root == std.root }) && exists(r.m.path(filepath.Join(std.root, "libpod"))) {
		out = append(out, std)
	}
	return out, from
}

// store reads one store: its containers, then the networks that its networking
// directory defines.
func (r *podmanRead) store(ctx context.Context, s podStore, p *proc) error {
	records, err := podRecords(r.m.files(p, s.root), r.m.files(p, s.runroot))
	if err != nil {
		return fmt.Errorf("reading Podman's store %s: %w", s.root, err)
	}
	nets := r.networks(s, p)
	var list []*snap.Container
	for i := range records {
		if ctx.Err() != nil || len(list) >= maxContainers {
			r.gap("podman containers", fmt.Errorf("not all of %s was read: %w", s.root, snap.ErrLimit))
			break
		}
		c := records[i].container()
		for j := range c.Endpoints {
			r.join(&c.Endpoints[j], c.ID, nets)
		}
		list = append(list, &c)
	}
	r.defaultNetwork(list, nets)
	for _, c := range list {
		r.seen[c.ID] = c
	}
	return nil
}

// join completes an endpoint by what its network's files say.
func (r *podmanRead) join(e *snap.Endpoint, id string, nets *podNetworks) {
	if n := nets.byName(e.Network); n != nil {
		e.NetworkID = n.ID
	}
	if names := nets.names[e.Network][id]; len(names) > 0 {
		e.DNSNames = names
	}
}

// monitored notes a container that a conmon watches and that no store told:
// another user's, or one of an unreadable store.
func (r *podmanRead) monitored(c *conmon) {
	if r.seen[c.id] != nil {
		return
	}
	v := &snap.Container{Engine: Podman, ID: c.id, Name: c.name, State: "running"}
	if !c.trusted() {
		r.gap("container "+c.name, snap.Hint(fmt.Errorf("a container of user %d: its settings are in files of that user: %w", c.uid, snap.ErrUnsupported),
			fmt.Sprintf("run netdoctor as user %d", c.uid)))
	}
	for _, p := range r.m.kids[c.pid] {
		if holds(p, c.id) {
			v.PID = p.pid
		}
	}
	if v.PID == 0 {
		return // it has ended, and its conmon is about to
	}
	r.seen[c.id] = v
}

// finish checks the pids and hands the containers over.
func (r *podmanRead) finish() {
	var list []*snap.Container
	for _, c := range r.seen {
		list = append(list, c)
	}
	snap.Sort(list, func(a, b *snap.Container) int { return strings.Compare(a.ID, b.ID) })
	for _, c := range list {
		if !c.Running() {
			c.PID = 0
		} else if err := r.m.settle(c, list); errors.Is(err, snap.ErrNotFound) {
			c.State, c.SandboxKey = snap.Vanished, ""
		} else if err != nil {
			r.gap("container "+c.Name, err)
		}
		for _, p := range []*string{&c.ResolvConfPath, &c.HostsPath, &c.HostnamePath} {
			if !strings.Contains(*p, "/"+c.ID+"/") {
				*p = ""
			}
		}
		r.res.Containers = append(r.res.Containers, *c)
	}
}
