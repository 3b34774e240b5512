package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// shim is a containerd shim: the parent of a container's first process. Shims
// outlive dockerd and containerd.
type shim struct {
	*proc
	namespace string // containerd's: "moby" is Docker's, "k8s.io" kubelet's, "default" nerdctl's
	id        string
	bundle    string // directory of the OCI bundle, as a path that can be opened here; "" unknown
}

// shims lists the trusted shims of this host's namespace. Those of an engine
// inside a container live in that container's namespace, and its containers
// hang on no bridge of ours.
func (m *machine) shims() []shim {
	var out []shim
	for _, p := range m.procs {
		// The kernel cuts names at 15 characters: containerd-shim-runc-v2.
		if !strings.HasPrefix(p.comm, "containerd-shim") || !p.trusted() || p.state == "Z" || !m.here(p) {
			continue
		}
		s := shim{proc: p}
		args := p.args()
		if v := flagValues(args, "-id"); len(v) > 0 {
			s.id = v[0]
		}
		if v := flagValues(args, "-namespace"); len(v) > 0 {
			s.namespace = v[0]
		}
		if !isID(s.id) && (s.namespace == "moby" || !isName(s.id)) || strings.ContainsAny(s.namespace, "/\x00") {
			continue
		}
		// A shim works in its bundle.
		if dir, err := readlink(filepath.Join(p.dir, "cwd")); err == nil && filepath.Base(dir) == s.id {
			s.bundle = m.files(p, dir)
		}
		out = append(out, s)
	}
	snap.Sort(out, func(a, b shim) int { return strings.Compare(a.id, b.id) })
	return out
}

// ociSpec is the part of a bundle's config.json that matters.
type ociSpec struct {
	Hostname    string
	Annotations map[string]string
	Mounts      []struct {
		Destination string
		Source      string
	}
	Linux struct {
		Namespaces []struct {
			Type string
			Path string
		}
	}
}

func (s *ociSpec) source(destination string) string {
	for _, m := range s.Mounts {
		if m.Destination == destination {
			return m.Source
		}
	}
	return ""
}

// hostNet says that the container was given no network namespace: it lives in
// the host's.
func (s *ociSpec) hostNet() bool {
	for _, n := range s.Linux.Namespaces {
		if n.Type == "network" {
			return false
		}
	}
	return true
}

// init is the first process of the shim's container: as the shim wrote down,
// else the child that belongs to the container.
func (m *machine) init(s *shim) *proc {
	if s.bundle != "" {
		if b, err := readFile(filepath.Join(s.bundle, "init.pid"), 64); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				if p := m.procs[pid]; p != nil && p.ppid == s.pid && holds(p, s.id) {
					return p
				}
			}
		}
	}
	for _, p := range m.kids[s.pid] {
		if holds(p, s.id) {
			return p
		}
	}
	return nil
}

// offline reads Docker's containers from the kernel and from the daemon's
// files, after the API gave cause as the reason. false: there are no traces of
// Docker at all.
func (r *dockerRead) offline(ctx context.Context, cause error) bool {
	d := r.daemon
	if d == nil {
		d = r.m.noDaemon()
	}
	shims := snap.Without(r.m.shims(), func(s shim) bool { return s.namespace != "moby" })
	roots := r.dataRoots(d, shims)
	all := map[string]*snap.Container{}
	for _, root := range roots {
		r.stored(ctx, root, all)
	}
	unread := 0
	for i := range shims {
		if !r.alive(&shims[i], all) {
			unread++
		}
	}
	if unread > 0 {
		r.gap("docker containers", noFiles(unread))
	}
	if len(roots) == 0 && len(all) == 0 && r.daemon == nil {
		return false
	}
	r.e.Offline = true
	r.e.Error = r.why(cause)
	r.gap(Docker, r.hint(cause))
	d.fill(&r.e, "")
	if len(roots) > 0 {
		r.e.DataRoot = roots[0]
	}
	if !d.known {
		r.gap("docker daemon settings", fmt.Errorf("iptables, ip-forward and userland-proxy are taken to have their defaults: %w", d.err))
	}
	list := make([]*snap.Container, 0, len(all))
	for _, c := range all {
		list = append(list, c)
	}
	snap.Sort(list, func(a, b *snap.Container) int { return strings.Compare(a.ID, b.ID) })
	for _, c := range list {
		// <exec-root>/netns/<12 hex>
		if dir := filepath.Dir(c.SandboxKey); d.proc == nil && filepath.Base(dir) == "netns" {
			r.e.ExecRoot = filepath.Dir(dir)
		}
		r.settleOffline(c, list)
		r.checkPaths(c)
		r.res.Containers = append(r.res.Containers, *c)
	}
	r.offlineNetworks(roots)
	d.unchosen(r.res.Networks)
	return true
}

// noFiles says that containers are known by their processes only. An ordinary
// user may not read dockerd's files; for root they are elsewhere, or gone.
func noFiles(n int) error {
	const words = "names, networks and ports of %d running containers are in files that can't be read: %w"
	if os.Geteuid() == 0 {
		return fmt.Errorf(words, n, snap.ErrNotFound)
	}
	return snap.Hint(fmt.Errorf(words, n, snap.ErrPermission), "run as root")
}

// dataRoots finds where the daemon keeps its files: told by a running daemon,
// by the mounts of the containers that it started, or by its configuration.
func (r *dockerRead) dataRoots(d *daemon, shims []shim) []string {
	var out []string
	add := func(root string) {
		if root != "" && !slices.Contains(out, root) && exists(r.m.files(d.proc, filepath.Join(root, "containers"))) {
			out = append(out, root)
		}
	}
	if d.proc != nil {
		add(d.dataRoot)
	}
	for i := range shims {
		add(r.m.dataRootOf(&shims[i]))
	}
	if len(out) == 0 {
		add(d.dataRoot)
	}
	return out
}

// dataRootOf is the directory above containers/ID, from where dockerd let the
// runtime mount the container's resolv.conf. The bundle was written by dockerd;
// the process's own mounts are the second choice, as a container with
// capabilities may have changed them.
func (m *machine) dataRootOf(s *shim) string {
	var spec ociSpec
	if s.bundle != "" && readJSON(filepath.Join(s.bundle, "config.json"), &spec) == nil {
		for _, f := range []string{"resolv.conf", "hosts", "hostname"} {
			if root, ok := aboveContainer(spec.source("/etc/"+f), s.id, f); ok {
				return root
			}
		}
	}
	if p := m.init(s); p != nil {
		return m.dataRootByMount(p, s.id)
	}
	return ""
}

// aboveContainer cuts /containers/ID/FILE off a path.
func aboveContainer(path, id, file string) (string, bool) {
	root, ok := strings.CutSuffix(path, "/containers/"+id+"/"+file)
	return root, ok && strings.HasPrefix(root, "/")
}

// stored reads every container of a data root.
func (r *dockerRead) stored(ctx context.Context, root string, into map[string]*snap.Container) {
	p := r.process()
	dir := r.m.files(p, filepath.Join(root, "containers"))
	ids, more, err := readDir(dir)
	if err != nil {
		r.gap("docker containers", fmt.Errorf("reading the files of dockerd: %w", err))
		return
	}
	if more {
		r.gap("docker containers", fmt.Errorf("%s holds more than %d entries: %w", dir, maxDir, snap.ErrLimit))
	}
	for _, id := range ids {
		if len(id) != 64 || !isID(id) {
			continue
		}
		if ctx.Err() != nil || len(into) >= maxContainers {
			r.gap("docker containers", fmt.Errorf("not all of %s was read: %w", dir, snap.ErrLimit))
			return
		}
		c, err := storedContainer(filepath.Join(dir, id), id)
		if err != nil {
			r.gap("docker containers", fmt.Errorf("reading container %s: %w", short(id), err))
			continue
		}
		if ended(c) {
			c.Complaint = complaint(kept(filepath.Join(dir, id, id+"-json.log"), jsonLine))
		}
		into[id] = c
	}
}

// storedContainer reads config.v2.json and hostconfig.json (moby
// daemon/container/container.go: FromDisk).
func storedContainer(dir, id string) (*snap.Container, error) {
	var d dockerContainer
	if err := readJSON(filepath.Join(dir, "config.v2.json"), &d); err != nil {
		return nil, err
	}
	if d.ID != id {
		return nil, fmt.Errorf("its file speaks of container %q: %w", short(d.ID), snap.ErrUnsupported)
	}
	if err := readJSON(filepath.Join(dir, "hostconfig.json"), &d.HostConfig); err != nil && !errors.Is(err, snap.ErrNotFound) {
		return nil, err
	}
	c := d.container()
	return &c, nil
}

// alive notes that a shim's container has a process, whatever the files say;
// false when there are no files that say anything.
func (r *dockerRead) alive(s *shim, into map[string]*snap.Container) bool {
	p := r.m.init(s)
	if p == nil {
		return true
	}
	c, known := into[s.id]
	if !known {
		c = &snap.Container{Engine: Docker, ID: s.id, Name: short(s.id), State: "running"}
		into[s.id] = c
	}
	if !c.Running() {
		c.State = "running"
	}
	c.PID = p.pid
	return known
}

// settleOffline checks the pid of a container that the files call running. A
// container without a process is gone, though dockerd did not live to note it.
func (r *dockerRead) settleOffline(c *snap.Container, all []*snap.Container) {
	if !c.Running() {
		c.PID = 0
		return
	}
	err := r.m.settle(c, all)
	switch {
	case err == nil:
	case errors.Is(err, snap.ErrNotFound):
		c.State = snap.Vanished
		c.SandboxKey = ""
	default:
		r.gap("container "+c.Name, err)
	}
}

// why tells in plain words why the API did not serve.
func (r *dockerRead) why(cause error) string {
	at := strings.TrimPrefix(r.ep.url, "unix://")
	if d := r.daemon; d != nil && d.proc != nil {
		who := fmt.Sprintf("dockerd (pid %d)", d.proc.pid)
		switch {
		case d.stopped():
			return who + " is stopped (state " + d.proc.state + "), it runs nothing until it is continued"
		case errors.Is(cause, snap.ErrTimeout):
			return fmt.Sprintf("%s does not answer on %s within %v", who, at, r.m.deadline())
		case errors.Is(cause, snap.ErrPermission):
			return fmt.Sprintf("%s may not be asked: %s is closed to this user", who, at)
		case errors.Is(cause, snap.ErrNotFound):
			return fmt.Sprintf("%s runs, but nothing listens on %s", who, at)
		}
		return fmt.Sprintf("%s does not answer as it should on %s: %v", who, at, cause)
	}
	switch {
	case errors.Is(cause, snap.ErrPermission):
		return at + " is closed to this user"
	case errors.Is(cause, snap.ErrTimeout):
		return fmt.Sprintf("nobody answers on %s within %v", at, r.m.deadline())
	case errors.Is(cause, snap.ErrNotFound) && r.beside != nil:
		return fmt.Sprintf("nothing listens on %s, which is no address of dockerd (pid %d)", at, r.beside.proc.pid)
	case errors.Is(cause, snap.ErrNotFound):
		why := "dockerd is not running: nothing listens on " + at
		switch d := r.m.noDaemon(); {
		case d.err != nil && errors.As(d.err, new(*json.SyntaxError)):
			why += ", and it can't start: " + d.config + " is no JSON (" + d.err.Error() + ")"
		case len(d.conf.Hosts) > 0: // moby cmd/dockerd: "specified both as a flag and in the configuration file"
			why += ", and it can't start if its unit has -H, as docker.service has: " + d.config + " has hosts, too"
		}
		return why
	}
	return fmt.Sprintf("what listens on %s does not answer as dockerd does: %v", at, cause)
}

// hint attaches the remedy to the cause.
func (r *dockerRead) hint(cause error) error {
	var err error = reason{r.why(cause), cause}
	var pid int
	stopped := false
	if d := r.daemon; d != nil && d.proc != nil {
		pid, stopped = d.proc.pid, d.stopped()
	}
	switch {
	case stopped:
		return snap.Hint(err, fmt.Sprintf("kill -CONT %d", pid))
	case errors.Is(cause, snap.ErrPermission):
		return snap.Hint(err, "run with sudo, or as a member of the group that owns the socket: docker")
	case errors.Is(cause, snap.ErrTimeout) && pid != 0:
		return snap.Hint(err, "journalctl -u docker; systemctl restart docker keeps the containers only with live-restore")
	case errors.Is(cause, snap.ErrNotFound) && pid != 0 && len(r.daemon.hosts) > 0:
		return snap.Hint(err, fmt.Sprintf("give --docker-host one of dockerd's own addresses: %s", strings.Join(r.daemon.hosts, " ")))
	case errors.Is(cause, snap.ErrNotFound) && r.beside != nil:
		at := strings.Join(r.beside.hosts, " ")
		if at == "" {
			at = dockerDefault // dockerd's own, where it is told of none
		}
		return snap.Hint(err, "give --docker-host one of dockerd's own addresses: "+at)
	case errors.Is(cause, snap.ErrNotFound) && pid == 0:
		return snap.Hint(err, "systemctl start docker")
	}
	return err
}

// reason is an error whose words already say all that its cause says.
type reason struct {
	words string
	cause error
}

func (e reason) Error() string { return e.words }
func (e reason) Unwrap() error { return e.cause }
