// Package engine finds out who runs containers on a host, and which: Docker by
// its API or, when the daemon is dead, hung or refuses, from its files and the
// kernel; Podman, containerd, nerdctl and CNI from their state files. It reads
// and never changes anything; no program of a container or of an engine is run.
//
// What engines say is checked against the kernel (a pid is believed only when
// the process belongs to the container); their strings are carried, never
// obeyed, and never used as a path that leads out of their own directories.
package engine

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Names of engines, as in snap.Engine.Name and before the colon of a
// snap.Container.Ref.
const (
	Docker     = "docker"
	Podman     = "podman"
	Containerd = "containerd"
	CNI        = "cni"
)

// Names are those of all engines, in the order they are read.
func Names() []string { return []string{Docker, Podman, Containerd, CNI, Self} }

// defaultDeadline is how long an engine has to answer. A healthy dockerd
// answers in milliseconds, one under heavy load within a second.
const defaultDeadline = 2 * time.Second

// maxContainers bounds the containers taken from one engine.
const maxContainers = 10000

// Options says where to look. The zero value looks at this machine as the
// engines' own command lines would.
type Options struct {
	// DockerHost is the daemon's address (unix:///run/docker.sock) and goes
	// before all other sources; "" means DOCKER_HOST, the current context, the
	// default socket, a running dockerd's own socket, in this order.
	DockerHost string
	// Env looks up the user's environment: DOCKER_HOST, DOCKER_CONTEXT,
	// DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, HOME,
	// XDG_RUNTIME_DIR. nil means os.Getenv.
	Env func(key string) string
	// Runtime is the only engine wanted ("docker"); "" or "auto" means all.
	Runtime string
	// Deadline is how long one engine may take to answer, and again, with a
	// little more for each of them, to tell about its containers; 0 means
	// defaultDeadline.
	Deadline time.Duration
	// Root is put before every absolute path; "" means the machine's own root.
	// Tests give a directory with a proc, etc, run and var of their own.
	Root string
	// HostNetns is the inode of the namespace that is "the host"; 0 means that
	// of the calling process.
	HostNetns uint64
	// Child is the command that reads files of containers, see Serve: it keeps a
	// hung file system from hanging this process. nil reads in this process,
	// and only from file systems that can't hang.
	Child []string
	// Named are the plain namespaces that want a resolver.
	Named []Named
	// Inside has the namespaces (inodes) of containers whose processes are known by
	// nothing else, by snap.Container.Ref.
	Inside map[string]uint64
}

// Named is a namespace made by ip-netns(8).
type Named struct {
	ID    string   // its snap.Netns.ID
	Names []string // base names of its files in /run/netns
}

// Result is what was found, in stable order.
type Result struct {
	Engines    []snap.Engine
	Containers []snap.Container
	Networks   []snap.Network
	Gaps       []snap.Gap
}

// Read asks every engine at once. One that says nothing costs one deadline, one
// that falls silent while it tells about many containers up to five. Read never
// fails: what could not be read is a Gap.
func Read(ctx context.Context, opts Options) Result {
	m := newMachine(opts)
	readers := []struct {
		name string
		read func(context.Context, *machine) Result
	}{
		{Docker, readDocker},
		{Podman, readPodman},
		{Containerd, readContainerd},
		{CNI, readCNI},
		{Self, readSelf},
	}
	parts := make([]Result, len(readers))
	var wg sync.WaitGroup
	for i, r := range readers {
		if opts.Runtime != "" && opts.Runtime != "auto" && opts.Runtime != r.name {
			continue
		}
		wg.Go(func() { parts[i] = r.read(ctx, m) })
	}
	wg.Wait()
	res := Result{Engines: []snap.Engine{}, Containers: []snap.Container{}, Networks: []snap.Network{}, Gaps: []snap.Gap{}}
	res.Gaps = append(res.Gaps, m.gaps...)
	for _, p := range parts {
		res.Engines = append(res.Engines, p.Engines...)
		res.Containers = append(res.Containers, p.Containers...)
		res.Networks = append(res.Networks, p.Networks...)
		res.Gaps = append(res.Gaps, p.Gaps...)
	}
	res.finish()
	return res
}

// finish makes the references unique and the order stable.
func (r *Result) finish() {
	snap.Sort(r.Containers, func(a, b snap.Container) int {
		return cmp.Or(strings.Compare(a.Engine, b.Engine), snap.CompareNames(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	snap.Sort(r.Networks, func(a, b snap.Network) int {
		return cmp.Or(strings.Compare(a.Engine, b.Engine), snap.CompareNames(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	keepKnown(r.Containers)
	seen := map[string]bool{}
	for i := range r.Containers {
		c := &r.Containers[i]
		c.Ref = uniqueRef(seen, c.Engine, c.Name, c.ID)
		if c.Endpoints == nil {
			c.Endpoints = []snap.Endpoint{}
		}
		if c.Ports == nil {
			c.Ports = []snap.Port{}
		}
		snap.Sort(c.Endpoints, func(a, b snap.Endpoint) int { return snap.CompareNames(a.Network, b.Network) })
		snap.Sort(c.Ports, comparePorts)
	}
	seen = map[string]bool{}
	for i := range r.Networks {
		n := &r.Networks[i]
		n.Ref = uniqueRef(seen, n.Engine, n.Name, n.ID)
		if n.Pools == nil {
			n.Pools = []snap.Pool{}
		}
	}
}

// uniqueRef is "engine:name", or "engine:id" when the name is empty or taken:
// engines keep names unique, files and liars may not.
func uniqueRef(seen map[string]bool, engine, name, id string) string {
	for n := 0; ; n++ {
		ref := engine + ":" + name
		if n > 0 || name == "" {
			ref = engine + ":" + short(id)
		}
		if n > 1 {
			ref = fmt.Sprintf("%s:%s~%d", engine, short(id), n)
		}
		if !seen[ref] {
			seen[ref] = true
			return ref
		}
	}
}

func comparePorts(a, b snap.Port) int {
	return cmp.Or(
		cmp.Compare(a.ContainerPort, b.ContainerPort), cmp.Compare(a.Proto, b.Proto),
		cmp.Compare(a.HostPort, b.HostPort), a.HostIP.Compare(b.HostIP),
	)
}

// short is the first 12 digits of an id, as engines print it.
func short(id string) string { return id[:min(len(id), 12)] }

func (o *Options) env(key string) string {
	if o.Env == nil {
		return os.Getenv(key)
	}
	return o.Env(key)
}

func (o *Options) deadline() time.Duration {
	if o.Deadline <= 0 {
		return defaultDeadline
	}
	return o.Deadline
}

func (o *Options) path(p string) string { return filepath.Join(o.rootDir(), p) }

func (o *Options) rootDir() string {
	if o.Root == "" {
		return "/"
	}
	return o.Root
}
