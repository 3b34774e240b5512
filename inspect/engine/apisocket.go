package engine

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// apiSockets are where engines serve their API when they are told nothing else.
var apiSockets = []string{
	"/run/docker.sock", "/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock",
	"/run/podman/podman.sock", "/run/crio/crio.sock",
}

// apiSocket is a socket on its file system, which is how mounts name it.
type apiSocket struct {
	path      string
	dev, root string
}

// findSockets locates the engines' sockets that are there: the default ones and
// those that running daemons were told of. Each is looked up in the mounts of
// the process that serves it, which may have some of its own.
func (m *machine) findSockets() []apiSocket {
	var out []apiSocket
	add := func(path, procDir string, p *proc) {
		path = strings.Replace(filepath.Clean(path), "/var/run/", "/run/", 1)
		if !exists(m.files(p, path)) || slices.ContainsFunc(out, func(s apiSocket) bool { return s.path == path }) {
			return
		}
		best := -1
		var s apiSocket
		for _, x := range mounts(procDir) {
			rest, ok := below(path, x.point)
			if ok && len(x.point) >= best { // a later mount covers an earlier one
				best, s = len(x.point), apiSocket{path, x.dev, filepath.Join(x.root, rest)}
			}
		}
		if best >= 0 {
			out = append(out, s)
		}
	}
	for _, d := range m.findDaemons() {
		for _, h := range d.hosts {
			if path, ok := strings.CutPrefix(h, "unix://"); ok {
				add(path, d.proc.dir, d.proc)
			}
		}
	}
	for _, path := range apiSockets {
		add(path, m.path("/proc/thread-self"), nil)
	}
	return out
}

// socketsIn are the engines' sockets that a container can reach as files: bind
// mounted, or below a directory that is. A read-only mount does not keep anyone
// from connecting (unix(7)).
func (m *machine) socketsIn(p *proc) []snap.SocketMount {
	m.once.Do(func() { m.sockets = m.findSockets() })
	if len(m.sockets) == 0 {
		return nil
	}
	var out []snap.SocketMount
	for _, x := range mounts(p.dir) {
		for _, s := range m.sockets {
			rest, ok := below(s.root, x.root)
			if ok && x.dev == s.dev {
				out = append(out, snap.SocketMount{Socket: s.path, At: strings.ToValidUTF8(filepath.Join(x.point, rest), "\uFFFD")})
			}
		}
	}
	return out
}

// below gives the rest of a path below a directory.
func below(path, dir string) (string, bool) {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, "/"))
	return rest, ok && (rest == "" || rest[0] == '/')
}
