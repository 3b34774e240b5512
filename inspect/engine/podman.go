package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	if c.uid != 0 || exists(m.files(c.proc, own)) {
		return own
	}
	return podNetdir
}

// podmanRead is one reading of one user's Podman under way.
type podmanRead struct {
	m    *machine
	e    snap.Engine
	uid  int // who reads his files; root's for 0
	res  Result
	seen map[string]*snap.Container
}

func (r *podmanRead) gap(what string, err error) {
	g := snap.GapOf(what, "", err)
	g.Ref = snap.RefEngine(r.e.Name)
	r.res.Gaps = append(r.res.Gaps, g)
}

// readPodman reads root's Podman, and that of each user who has containers running.
func readPodman(ctx context.Context, m *machine) Result {
	users, uids := map[int][]conmon{}, []int{0}
	for _, c := range m.conmons() {
		users[c.uid] = append(users[c.uid], c)
		if !slices.Contains(uids, c.uid) {
			uids = append(uids, c.uid)
		}
	}
	slices.Sort(uids)
	var res Result
	for _, uid := range uids {
		one := m.readPodmanOf(ctx, uid, users[uid])
		res.Engines = append(res.Engines, one.Engines...)
		res.Containers = append(res.Containers, one.Containers...)
		res.Networks = append(res.Networks, one.Networks...)
		res.Gaps = append(res.Gaps, one.Gaps...)
	}
	return res
}

// readPodmanOf reads the databases of every store that a running container of a user,
// or the defaults, tell, and the processes that no readable store knows. The podman
// command is not run: with other flags than the containers were made with it
// may take the machine for rebooted, and resets its state.
func (m *machine) readPodmanOf(ctx context.Context, uid int, monitors []conmon) Result {
	r := &podmanRead{m: m, uid: uid, seen: map[string]*snap.Container{}}
	stores, from := r.stores(monitors)
	if len(stores) == 0 && len(monitors) == 0 {
		return Result{}
	}
	r.e = snap.Engine{Name: Podman, Reachable: len(stores) > 0, IPTables: true, IP6Tables: true, IPForward: true}
	if user := m.rootless(uid, monitors); user != "" {
		r.e.Name, r.e.Rootless, r.e.IPTables, r.e.IP6Tables, r.e.IPForward = Podman+"@"+user, true, false, false, false
	}
	if len(stores) > 0 {
		r.e.DataRoot, r.e.ExecRoot = stores[0].root, stores[0].runroot
	}
	if uid == 0 && exists(m.path(podSocket)) {
		r.e.Endpoint = "unix://" + podSocket
	}
	r.as(func(r *podmanRead) { r.read(ctx, stores, from) })
	r.watched(monitors)
	r.finish()
	if len(monitors) == 0 && len(r.res.Containers) == 0 && len(r.res.Networks) == 0 && r.e.Error == "" {
		return r.res // a store that nothing is in: podman was here once
	}
	r.res.Engines = []snap.Engine{r.e}
	return r.res
}

// read reads the stores.
func (r *podmanRead) read(ctx context.Context, stores []podStore, from map[string]*proc) {
	if len(stores) > 0 {
		r.e.Rules = r.varkRules(from[stores[0].root])
	}
	for _, s := range stores {
		if err := r.store(ctx, s, from[s.root]); err != nil {
			r.e.Reachable = false
			r.e.Error = err.Error()
			r.gap(r.e.Name, err)
		}
	}
}

// stranger says that the files read are another user's: what they say is believed of
// his own processes alone.
func (r *podmanRead) stranger() bool { return r.uid != 0 && r.uid != os.Geteuid() }

// stores lists the stores of a user's containers, for root his default one as well, and
// the process through which each was found (nil for the default one).
func (r *podmanRead) stores(monitors []conmon) ([]podStore, map[string]*proc) {
	var out []podStore
	from := map[string]*proc{}
	for _, c := range monitors {
		if !slices.ContainsFunc(out, func(s podStore) bool { return s.root == c.store.root }) {
			out = append(out, c.store)
			from[c.store.root] = c.proc
		}
	}
	std := podStore{podRoot, podRunroot, podNetdir}
	if r.uid == 0 && !slices.ContainsFunc(out, func(s podStore) bool { return s.root == std.root }) && exists(r.m.path(filepath.Join(std.root, "libpod"))) {
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
		c.Engine = r.e.Name
		if r.stranger() {
			c.ResolvConfPath, c.HostsPath, c.HostnamePath, c.SandboxKey = "", "", "", ""
		}
		if log := records[i].config.LogPath; log != "" && !r.stranger() && ended(&c) {
			c.Complaint = complaint(kept(r.m.files(p, log), criLine))
		}
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

// watched goes by the conmons: a stranger's containers without one don't run.
func (r *podmanRead) watched(monitors []conmon) {
	for i := range monitors {
		r.monitored(&monitors[i])
	}
	for id, c := range r.seen {
		if r.stranger() && c.Running() && !slices.ContainsFunc(monitors, func(m conmon) bool { return m.id == id }) {
			c.State, c.PID = snap.Vanished, 0
		}
	}
}

// monitored notes a container that a conmon watches and that no store told, as that
// can't be read. A stranger's process is believed to be what his own conmon started.
func (r *podmanRead) monitored(c *conmon) {
	v := r.seen[c.id]
	if v != nil && !r.stranger() {
		return
	}
	if v == nil {
		v = &snap.Container{Engine: r.e.Name, ID: c.id, Name: c.name, State: "running"}
	}
	v.PID = 0
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
