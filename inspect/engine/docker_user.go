package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxUsers bounds the users whose own dockerd is asked.
const maxUsers = 16

// readDocker reads the Docker that the docker command would speak to, and that of each
// user who runs one of his own (rootless mode, RootlessKit): dockerd lives in a network
// namespace of his then, with its bridges and its rules.
func readDocker(ctx context.Context, m *machine) Result {
	r := &dockerRead{m: m, e: snap.Engine{Name: Docker}}
	r.chosen(ctx)
	res := r.res
	for i, d := range m.userDaemons() {
		if i == maxUsers {
			res.Gaps = append(res.Gaps, snap.GapOf(Docker, "", fmt.Errorf("more than %d users run dockerd: %w", maxUsers, snap.ErrLimit)))
			break
		}
		if len(res.Engines) > 0 && res.Engines[0].PID == d.pid {
			continue // the environment leads to him
		}
		one := m.readDockerOf(ctx, d)
		res.Engines = append(res.Engines, one.Engines...)
		res.Containers = append(res.Containers, one.Containers...)
		res.Networks = append(res.Networks, one.Networks...)
		res.Gaps = append(res.Gaps, one.Gaps...)
	}
	return res
}

// userDaemons are the dockerd processes of users of this host, by pid.
func (m *machine) userDaemons() []*proc {
	var out []*proc
	for _, p := range m.procs {
		if p.comm == "dockerd" && p.uid > 0 && p.state != "Z" && !m.here(p) && m.startedHere(p) {
			out = append(out, p)
		}
	}
	snap.Sort(out, func(a, b *proc) int { return a.pid - b.pid })
	return out
}

// startedHere says whether an ancestor of a process, RootlessKit's parent, lives in the
// host's namespace: another host may be in this kernel, too.
func (m *machine) startedHere(p *proc) bool {
	for range 8 { // dockerd, RootlessKit's child, its parent
		if p = m.procs[p.ppid]; p == nil || p.pid == 1 {
			return false
		}
		if m.here(p) {
			return true
		}
	}
	return false
}

// readDockerOf asks a user's dockerd, with his powers, at a socket that this very process
// listens at. When it does not answer, its containers are namespaces like any other.
func (m *machine) readDockerOf(ctx context.Context, p *proc) Result {
	socket := p.userSocket()
	r := &dockerRead{
		m: m, user: p, ep: endpoint{url: "unix://" + socket, source: "dockerd", socket: socket},
		e: snap.Engine{Name: Docker + "@" + m.userName(p.uid), Rootless: true, PID: p.pid, Endpoint: "unix://" + socket},
	}
	e := r.e // r is not looked at if it comes too late
	var err error
	if p.state == "T" || p.state == "t" {
		err = fmt.Errorf("waiting for a stopped process: %w", snap.ErrTimeout)
	} else if late := m.asUser(p.uid, filepath.Dir(socket), 8*m.deadline(), func() { err = r.online(ctx) }); late != nil {
		err = late
	}
	if err != nil {
		e.Error, e.Offline = err.Error(), errors.Is(err, snap.ErrTimeout) || errors.Is(err, dockerapi.ErrRefused)
		g := snap.GapOf(e.Name, "", fmt.Errorf("dockerd (pid %d) at %s: %w", p.pid, e.Endpoint, err))
		g.Ref = snap.RefEngine(e.Name)
		return Result{Engines: []snap.Engine{e}, Gaps: []snap.Gap{g}}
	}
	for i := range r.res.Containers {
		r.res.Containers[i].Engine = e.Name
	}
	for i := range r.res.Networks {
		r.res.Networks[i].Engine = e.Name
	}
	r.res.Engines = []snap.Engine{r.e}
	return r.res
}

// userSocket is where a user's dockerd serves its API (moby opts/hosts.go: ParseHost).
func (p *proc) userSocket() string {
	for _, h := range flagValues(p.args(), "--host", "-H") {
		if path, ok := strings.CutPrefix(h, "unix://"); ok && filepath.IsAbs(path) {
			return filepath.Clean(path)
		}
	}
	run, _ := p.env("XDG_RUNTIME_DIR")
	if !filepath.IsAbs(run) {
		run = "/run/user/" + strconv.Itoa(p.uid)
	}
	return filepath.Join(run, "docker.sock")
}

// userConfig is the configuration file of a user's dockerd (moby cmd/dockerd/daemon.go:
// getDefaultDaemonConfigFile).
func (p *proc) userConfig() string {
	dir, _ := p.env("XDG_CONFIG_HOME")
	if dir == "" {
		home, _ := p.env("HOME")
		dir = filepath.Join("/", home, ".config")
	}
	return filepath.Join("/", dir, "docker/daemon.json")
}

// his refuses a user's word that a process is of one of his containers where it lives in
// the user namespace of this program: his own never do.
func (r *dockerRead) his(c *snap.Container) error {
	if r.user == nil || c.PID == 0 {
		return nil
	}
	pid := strconv.Itoa(c.PID)
	own, ns := nsInode(r.m.path("/proc/thread-self/ns/user")), nsInode(r.m.path("/proc/"+pid+"/ns/user"))
	if ns != 0 && ns != own {
		return nil
	}
	c.PID, c.Process = 0, nil
	return fmt.Errorf("%s says that container %s is process %s, which is not in a user namespace of his: %w", r.e.Name, short(c.ID), pid, snap.ErrUnsupported)
}
