package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Annotations of OCI bundles: nerdctl passes its labels on (nerdctl
// pkg/labels/labels.go), containerd's CRI plugin says what of which pod this is
// (containerd internal/cri/annotations).
const (
	nerdName     = "nerdctl/name"
	nerdHostname = "nerdctl/hostname"
	nerdNetworks = "nerdctl/networks"
	nerdPorts    = "nerdctl/ports"
	nerdIP       = "nerdctl/ip"
	nerdState    = "nerdctl/state-dir"

	criType      = "io.kubernetes.cri.container-type"
	criSandbox   = "io.kubernetes.cri.sandbox-id"
	criPod       = "io.kubernetes.cri.sandbox-name"
	criNamespace = "io.kubernetes.cri.sandbox-namespace"
	criName      = "io.kubernetes.cri.container-name"
	criImage     = "io.kubernetes.cri.image-name"
)

// readContainerd reads the running containers of containerd that are not
// Docker's, from their shims and bundles, and their networks from CNI's files.
// Stopped containers are in containerd's own database only, and are not read.
func readContainerd(ctx context.Context, m *machine) Result {
	var res Result
	shims := snap.Without(m.shims(), func(s shim) bool { return s.namespace == "moby" || s.namespace == "plugins.moby" })
	if len(shims) == 0 {
		return res
	}
	e := snap.Engine{Name: Containerd, Reachable: true, IPTables: true, IPForward: true}
	gap := func(what string, err error) {
		g := snap.GapOf(what, "", err)
		g.Ref = snap.RefEngine(Containerd)
		res.Gaps = append(res.Gaps, g)
	}
	for _, p := range m.procs {
		if p.comm == "containerd" && p.trusted() && m.here(p) && p.state != "Z" {
			e.PID = p.pid
			e.DataRoot, e.ExecRoot = "/var/lib/containerd", "/run/containerd"
		}
	}
	results, err := m.cniResults()
	if err != nil {
		gap("cni results", err)
	}
	var list []*snap.Container
	for i := range shims {
		if ctx.Err() != nil || len(list) >= maxContainers {
			gap("containerd containers", fmt.Errorf("not all shims were read: %w", snap.ErrLimit))
			break
		}
		c, err := m.shimContainer(&shims[i], results)
		if err != nil {
			gap("container "+short(shims[i].id), err)
		}
		if c != nil {
			list = append(list, c)
		}
	}
	for _, c := range list {
		if err := m.settle(c, list); errors.Is(err, snap.ErrNotFound) {
			c.State = snap.Vanished
		} else if err != nil {
			gap("container "+c.Name, err)
		}
		res.Containers = append(res.Containers, *c)
	}
	nets, err := m.cniNetworks(Containerd)
	if err != nil {
		gap("cni networks", err)
	}
	res.Networks = nets
	nameNetworks(res.Containers, nets)
	res.Engines = []snap.Engine{e}
	return res
}

// shimContainer makes a container of a shim and its bundle; nil when it has no
// process any more.
func (m *machine) shimContainer(s *shim, results []cniResult) (*snap.Container, error) {
	p := m.init(s)
	if p == nil {
		return nil, nil
	}
	c := &snap.Container{Engine: Containerd, ID: s.id, Name: short(s.id), State: "running", PID: p.pid}
	var spec ociSpec
	if s.bundle == "" {
		return c, snap.Hint(fmt.Errorf("bundle of container %s: %w", short(s.id), snap.ErrPermission), "run as root")
	}
	if err := readJSON(filepath.Join(s.bundle, "config.json"), &spec); err != nil {
		return c, fmt.Errorf("bundle of container %s: %w", short(s.id), err)
	}
	c.Hostname = spec.Hostname
	c.Labels = spec.Annotations
	c.ResolvConfPath, c.HostsPath = engineCopy(spec.source("/etc/resolv.conf"), "resolv.conf"), engineCopy(spec.source("/etc/hosts"), "hosts")
	for _, n := range spec.Linux.Namespaces {
		if n.Type == "network" {
			c.SandboxKey = n.Path
		}
	}
	owner := s.id
	if sandbox := c.Labels[criSandbox]; sandbox != "" {
		owner = sandbox
		cri(c, sandbox)
	} else {
		nerdctl(c)
	}
	if spec.hostNet() {
		c.NetworkMode = "host"
		return c, nil
	}
	if strings.HasPrefix(c.NetworkMode, "container:") {
		return c, nil
	}
	for _, r := range results {
		// nerdctl calls the plugins with "namespace-id".
		if r.ContainerID == owner || r.ContainerID == s.namespace+"-"+owner {
			c.Endpoints = append(c.Endpoints, r.endpoint())
			c.Ports = append(c.Ports, r.ports()...)
			if c.SandboxKey == "" {
				c.SandboxKey = r.NetNS
			}
		}
	}
	if c.NetworkMode == "" && len(c.Endpoints) > 0 {
		c.NetworkMode = c.Endpoints[0].Network
	}
	if c.NetworkMode == "" {
		c.NetworkMode = "none"
	}
	return c, nil
}

// engineCopy keeps a path that a bundle mounts only when it is one of the
// engines' own files: an absolute path to a file of that name.
func engineCopy(path, name string) string {
	if filepath.IsAbs(path) && filepath.Base(path) == name && (strings.HasPrefix(path, "/var/lib/") || strings.HasPrefix(path, "/run/")) && filepath.Clean(path) == path {
		return path
	}
	return ""
}

// cri names a container of Kubernetes: namespace/pod for the sandbox, and
// namespace/pod/container for those that share its network.
func cri(c *snap.Container, sandbox string) {
	c.Name = c.Labels[criNamespace] + "/" + c.Labels[criPod]
	c.Image = c.Labels[criImage]
	if c.Labels[criType] == "container" {
		c.Name += "/" + c.Labels[criName]
		c.NetworkMode = "container:" + sandbox
	}
}

// nerdctl takes what nerdctl wrote into the annotations.
func nerdctl(c *snap.Container) {
	l := c.Labels
	if l[nerdName] != "" {
		c.Name = l[nerdName]
	}
	if l[nerdHostname] != "" {
		c.Hostname = l[nerdHostname]
	}
	var nets []string
	if json.Unmarshal([]byte(l[nerdNetworks]), &nets) == nil && len(nets) > 0 {
		c.NetworkMode = nets[0] // "bridge", "host", "none", "container:ID", a name
	}
	var ports []cniPort
	if json.Unmarshal([]byte(l[nerdPorts]), &ports) == nil {
		for _, p := range ports {
			c.Ports = append(c.Ports, p.port())
		}
	}
	groups(c)
}

// nameNetworks fills in the ids of the networks that endpoints name.
func nameNetworks(list []snap.Container, nets []snap.Network) {
	for i := range list {
		for j := range list[i].Endpoints {
			e := &list[i].Endpoints[j]
			for _, n := range nets {
				if n.Name == e.Network {
					e.NetworkID = n.ID
				}
			}
		}
	}
}
