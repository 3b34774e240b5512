package engine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// dockerRead is one reading of Docker under way.
type dockerRead struct {
	m      *machine
	daemon *daemon // nil: no process found
	ep     endpoint
	e      snap.Engine
	beside *daemon // that runs and does not serve the endpoint; nil: none
	user   *proc   // a user's own dockerd, which alone is asked; nil: not chosen for that
	res    Result

	mu sync.Mutex // guards res.Gaps while containers are inspected in parallel
}

// chosen reads the Docker that the docker command would speak to, by its API; where that
// is not to be had and the endpoint is on this machine, from the kernel and the daemon's
// files. Nothing is found where nobody asked for Docker, and there is none.
func (r *dockerRead) chosen(ctx context.Context) {
	m := r.m
	daemons := m.findDaemons()
	if len(daemons) > 0 {
		r.daemon = daemons[0]
	}
	ep, err := m.dockerEndpoint(r.daemon)
	r.ep, r.e.Endpoint = ep, ep.url
	r.daemon = nil
	for _, d := range daemons {
		if ep.socket == "" || d.listensOn(m, ep.socket) {
			r.daemon = d
			break
		}
	}
	if r.daemon == nil && len(daemons) > 0 {
		r.beside = daemons[0]
	}
	switch {
	case err != nil:
		r.e.Error = err.Error()
		r.gap(Docker, err)
	case !ep.local():
		r.remote()
	default:
		if r.daemon != nil && ep.socket != "" && r.daemon.stopped() {
			err = fmt.Errorf("waiting for a stopped process: %w", snap.ErrTimeout)
		} else {
			err = r.online(ctx)
		}
		if err == nil {
			break
		}
		if r.offline(ctx, err) {
			break
		}
		if !ep.asked && errors.Is(err, snap.ErrNotFound) {
			r.res = Result{}
			return
		}
		r.e.Error = r.why(err)
		r.gap(Docker, r.hint(err))
	}
	r.res.Engines = []snap.Engine{r.e}
}

// gap notes what could not be read.
func (r *dockerRead) gap(what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := snap.GapOf(what, "", err)
	g.Ref = snap.RefEngine(r.e.Name)
	r.res.Gaps = append(r.res.Gaps, g)
}

// process is dockerd's; nil when it was not found.
func (r *dockerRead) process() *proc {
	if r.daemon == nil {
		return nil
	}
	return r.daemon.proc
}

// remote notes an engine on another machine. It is not even asked: its
// containers are not in this kernel.
func (r *dockerRead) remote() {
	r.e.Remote = true
	r.e.Error = fmt.Sprintf("%s (from %s) is another machine", r.ep.url, r.ep.source)
	r.gap(Docker, snap.Hint(fmt.Errorf("containers of %s, which is another machine: %w", r.ep.url, snap.ErrUnsupported),
		"run netdoctor on that machine, or here with --docker-host unix:///var/run/docker.sock"))
}

// elsewhere notes an engine of this kernel whose host is another namespace: its
// bridges and rules are there, and none of them is missing here. A rootless one is
// no such engine: its user looks for it on the machine.
func (r *dockerRead) elsewhere(p *proc) {
	r.e.Remote = true
	r.e.Error = fmt.Sprintf("dockerd (pid %d) at %s lives in another network namespace", p.pid, r.ep.url)
	r.gap(Docker, snap.Hint(fmt.Errorf("containers of dockerd (pid %d) at %s, whose host is another network namespace: %w", p.pid, r.ep.url, snap.ErrUnsupported),
		fmt.Sprintf("--host-ns %d", p.pid)))
}

// online reads everything by the API. An error means that there was no usable
// answer at all; nothing was taken over then.
func (r *dockerRead) online(ctx context.Context) error {
	api, err := r.m.dial(&r.ep)
	if err != nil {
		return err
	}
	defer api.Close()
	if r.user != nil {
		api.Only(r.user.pid)
	}
	first, cancel := context.WithTimeout(ctx, r.m.deadline())
	defer cancel()
	if err := api.Hello(first); err != nil {
		return err
	}
	var (
		info    dockerInfo
		version dockerVersion
		list    []dockerSummary
		nets    []dockerNetwork
		errs    [4]error
		wg      sync.WaitGroup
	)
	wg.Go(func() { errs[0] = api.Get(first, "/info", nil, &info) })
	wg.Go(func() { errs[1] = api.Get(first, "/version", nil, &version) })
	wg.Go(func() { errs[2] = api.Get(first, "/containers/json", url.Values{"all": {"1"}}, &list) })
	wg.Go(func() { errs[3] = api.Get(first, "/networks", nil, &nets) })
	wg.Wait()
	if errs[2] != nil {
		return dockerapi.Kind(errs[2]) // without the list the rest is worth little
	}
	for i, what := range []string{"docker info", "docker version", "", "docker networks"} {
		if errs[i] != nil {
			r.gap(what, dockerapi.Kind(errs[i]))
		}
	}
	r.e.Reachable = true
	r.e.API = api.Version()
	r.engine(api, &info, &version)
	if p := r.process(); p != nil && !r.e.Rootless && !r.m.here(p) {
		r.elsewhere(p)
		return nil
	}
	for i := range nets {
		r.res.Networks = append(r.res.Networks, nets[i].network())
	}
	if r.daemon != nil {
		r.daemon.unchosen(r.res.Networks)
	}
	r.containers(ctx, api, list)
	r.keptServers()
	r.services(ctx, api, info.Swarm.ControlAvailable)
	fillGateways(r.res.Networks, r.res.Containers)
	return nil
}

// engine fills in the engine itself.
func (r *dockerRead) engine(api *dockerapi.Client, info *dockerInfo, version *dockerVersion) {
	e := &r.e
	e.Version = info.ServerVersion
	if e.Version == "" {
		e.Version = version.Version
	}
	if p := r.m.procs[api.Peer()]; p != nil && p.comm == "dockerd" {
		r.daemon = &daemon{proc: p}
		r.daemon.read(r.m)
	}
	d := r.daemon
	if d == nil {
		d = r.m.noDaemon()
	}
	d.fill(e, e.Version)
	if r.daemon == nil || !d.known {
		err := d.err
		if err == nil {
			err = fmt.Errorf("the process of dockerd: %w", snap.ErrNotFound)
		}
		r.gap("docker daemon settings", fmt.Errorf("iptables, ip-forward and userland-proxy are taken to be as dockerd's defaults and %s say: %w", dockerConfig, err))
	}
	e.LiveRestore = info.LiveRestoreEnabled || e.LiveRestore
	if info.DockerRootDir != "" {
		e.DataRoot = info.DockerRootDir
	}
	if len(info.DefaultAddressPools) > 0 {
		e.Pools, e.PoolSizes = nil, nil
		for _, p := range info.DefaultAddressPools {
			addPool(e, p.Base, p.Size)
		}
	}
	if info.FirewallBackend != nil {
		e.Rules = dockerRules(e.Version, info.FirewallBackend.Driver, e.IPTables)
	}
	e.Proxies, _ = proxies([]string{"HTTP_PROXY=" + info.HTTPProxy, "HTTPS_PROXY=" + info.HTTPSProxy})
	e.Warnings = info.Warnings
	e.SwarmActive = info.Swarm.LocalNodeState != "" && info.Swarm.LocalNodeState != "inactive"
	e.Rootless = e.Rootless || slices.ContainsFunc(info.SecurityOptions, func(s string) bool { return strings.Contains(s, "name=rootless") })
}

// perContainer is what a busy dockerd needs to tell about one more container:
// about 1 ms on an idle machine.
const perContainer = 5 * time.Millisecond

// containers inspects the listed ones, the running first, a few at a time.
// Those that could not be inspected in time are as the list tells.
func (r *dockerRead) containers(ctx context.Context, api *dockerapi.Client, list []dockerSummary) {
	list = snap.Without(list, func(s dockerSummary) bool {
		if isID(s.ID) {
			return false
		}
		r.gap("docker containers", fmt.Errorf("the engine lists a container without an id: %w", snap.ErrUnsupported))
		return true
	})
	if len(list) > maxContainers {
		r.gap("docker containers", fmt.Errorf("%d containers, of which %d were read: %w", len(list), maxContainers, snap.ErrLimit))
		list = list[:maxContainers]
	}
	snap.Sort(list, func(a, b dockerSummary) int { return boolInt(b.State == "running") - boolInt(a.State == "running") })
	ctx, cancel := context.WithTimeout(ctx, r.m.deadline()+min(time.Duration(len(list))*perContainer, 3*r.m.deadline()))
	defer cancel()
	out := make([]*snap.Container, len(list))
	errs := make([]error, len(list))
	var g errgroup.Group
	g.SetLimit(min(8, max(2, runtime.NumCPU())))
	for i := range list {
		g.Go(func() error {
			out[i], errs[i] = r.inspect(ctx, api, &list[i])
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	r.stopped(ctx, api, out)
	r.complaints(ctx, api, out)
	claims, held := 0, 0
	late := 0
	for i, c := range out {
		if errs[i] != nil && errors.Is(errs[i], snap.ErrNotFound) {
			continue // removed meanwhile
		}
		if errs[i] != nil {
			if late++; late == 1 {
				r.gap("docker containers", dockerapi.Kind(fmt.Errorf("inspecting container %s: %w", short(list[i].ID), errs[i])))
			}
			s := list[i].container()
			c = &s
		}
		if c.PID > 0 {
			claims++
			if err := r.settle(ctx, api, c, out); err != nil {
				r.gap("container "+c.Name, err)
			} else {
				held++
			}
		}
		r.checkPaths(c)
		r.res.Containers = append(r.res.Containers, *c)
	}
	if late > 1 {
		r.gap("docker containers", fmt.Errorf("%d containers could not be inspected, only what the list tells is known of them: %w", late, snap.ErrTimeout))
	}
	r.notHere(claims, held)
}

// settle checks a pid. A process that is gone may have ended since: the engine
// is asked once more, and what it says then replaces the container.
func (r *dockerRead) settle(ctx context.Context, api *dockerapi.Client, c *snap.Container, all []*snap.Container) error {
	pid := c.PID
	if err := r.his(c); err != nil {
		return err
	}
	err := r.m.settle(c, all)
	if !errors.Is(err, snap.ErrNotFound) && !errors.Is(err, snap.ErrVanished) {
		return err
	}
	again, askErr := r.inspect(ctx, api, &dockerSummary{ID: c.ID})
	if askErr != nil || again.PID == pid {
		return err
	}
	*c = *again
	if c.PID == 0 {
		return nil
	}
	if err := r.his(c); err != nil {
		return err
	}
	return r.m.settle(c, all)
}

// notHere recognises an engine whose socket is here and whose containers are
// not: a forwarded socket, Docker Desktop's machine, another pid namespace.
func (r *dockerRead) notHere(claims, held int) {
	if claims == 0 || held > 0 || len(r.m.procs) == 0 || (r.daemon != nil && r.daemon.proc != nil) {
		return
	}
	r.e.Remote = true
	r.e.Error = fmt.Sprintf("%s answers, but none of its %d running containers is in this kernel, or this pid namespace", r.ep.url, claims)
	r.res.Gaps = snap.Without(r.res.Gaps, func(g snap.Gap) bool { return strings.HasPrefix(g.What, "container ") })
	r.gap("docker containers", snap.Hint(fmt.Errorf("none of the %d processes of running containers that %s tells of can be seen: %w", claims, r.ep.url, snap.ErrNotFound),
		"run netdoctor on the engine's machine; in a container with --pid=host --net=host"))
}

// inspect reads one container.
func (r *dockerRead) inspect(ctx context.Context, api *dockerapi.Client, s *dockerSummary) (*snap.Container, error) {
	var d dockerContainer
	if err := api.Get(ctx, "/containers/"+s.ID+"/json", nil, &d); err != nil {
		return nil, err
	}
	if d.ID != s.ID {
		return nil, fmt.Errorf("the engine was asked for container %s and answers with another: %w", short(s.ID), snap.ErrUnsupported)
	}
	c := d.container()
	return &c, nil
}

// checkPaths keeps the paths of the engine's copies only where they belong:
// below the data root, in the container's own directory.
func (r *dockerRead) checkPaths(c *snap.Container) {
	for _, p := range []*string{&c.ResolvConfPath, &c.HostsPath, &c.HostnamePath} {
		if *p != "" && (r.user != nil || filepath.Dir(*p) != filepath.Join(r.e.DataRoot, "containers", c.ID)) {
			*p = ""
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
