package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// isID tells an engine's id from anything else that may stand in a file or an
// answer: ids go into paths.
func isID(s string) bool {
	if len(s) < 12 || len(s) > 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// isName tells a name that containerd takes as an id (containerd identifiers/validate.go):
// letters and digits, with single dots, dashes and underscores between them.
func isName(s string) bool {
	parts := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("._-", r) })
	n := len(parts) - 1
	for _, p := range parts {
		n += len(p)
		if strings.Trim(p, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return false
		}
	}
	return len(parts) > 0 && n == len(s) && n <= 76
}

// believe checks an engine's claim that a pid is the container's: the process
// exists, its control group or its mounts hold the container's id, and its
// namespace is not the host's unless host says so. The checked process is given back,
// read anew, so that a pid that has been reused is not believed.
func (m *machine) believe(id string, pid int, host bool) (*proc, error) {
	if pid <= 0 {
		return nil, snap.NotFoundf("no process of container %s is known", short(id))
	}
	p := m.readProc(pid)
	if p == nil {
		return nil, snap.Hint(snap.NotFoundf("the engine says that container %s is process %d, but there is none to be seen", short(id), pid),
			"run netdoctor in the pid namespace of the engine (not in a container without --pid=host), and on its machine")
	}
	if !holds(p, id) {
		return nil, fmt.Errorf("the engine says that container %s is process %d, but neither its control group nor its mounts say so: %w", short(id), pid, snap.ErrUnsupported)
	}
	if ns := p.netns(); !host && ns != 0 && ns == m.netns {
		return nil, fmt.Errorf("the engine says that container %s has a network of its own, but its process %d is in this one: %w", short(id), pid, snap.ErrUnsupported)
	}
	if again := m.readProc(pid); again == nil || again.start != p.start {
		return nil, fmt.Errorf("process %d of container %s: %w", pid, short(id), snap.ErrVanished)
	}
	return p, nil
}

// holds says whether the process belongs to the container, by its control group
// (/docker/ID, docker-ID.scope, libpod-ID.scope, /k8s.io/ID; containerd's may be any
// name) or, where it has a
// group of the user's choice, by the files that engines mount from a directory
// named by the id.
func holds(p *proc, id string) bool {
	for group := range strings.Lines(p.cgroup()) {
		group = strings.TrimSpace(group)
		if isID(id) && strings.Contains(group, id) || filepath.Base(group) == id || strings.HasSuffix(group, ":"+id) || strings.HasSuffix(group, "-"+id+".scope") {
			return true
		}
	}
	b, err := os.ReadFile(filepath.Join(p.dir, "mountinfo"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		switch f[4] {
		case "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/run/.containerenv", "/dev/shm":
			if strings.Contains(f[3], "/"+id+"/") {
				return true
			}
		}
	}
	return false
}
