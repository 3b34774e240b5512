package engine

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/ns"
)

func readlink(path string) (string, error) {
	t, err := os.Readlink(path)
	return t, kindOf(err)
}

// mount is one line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	dev    string // major:minor
	root   string // the directory of the file system that is mounted
	point  string
	fstype string
}

// mounts reads the mounts that a process sees; nil when that is not allowed.
// A container writes parts of these lines: they are data.
func mounts(dir string) []mount {
	b, err := os.ReadFile(filepath.Join(dir, "mountinfo"))
	if err != nil {
		return nil
	}
	return parseMounts(string(b))
}

func parseMounts(s string) []mount {
	var out []mount
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) < 7 {
			continue
		}
		m := mount{dev: f[2], root: ns.Unescape(f[3]), point: ns.Unescape(f[4])}
		for i := 6; i+1 < len(f); i++ {
			if f[i] == "-" {
				m.fstype = f[i+1]
				break
			}
		}
		out = append(out, m)
	}
	return out
}

// dataRootByMount finds dockerd's data root from what is mounted on the
// container's resolv.conf. What a container with capabilities mounted out of
// its own root file system is not taken for dockerd's.
func (m *machine) dataRootByMount(p *proc, id string) string {
	list := mounts(p.dir)
	rootDev := ""
	for _, x := range list {
		if x.point == "/" {
			rootDev = x.dev
		}
	}
	for _, f := range []string{"resolv.conf", "hosts", "hostname"} {
		for _, x := range list {
			if x.point != "/etc/"+f || x.dev == rootDev {
				continue
			}
			root, ok := aboveContainer(x.root, id, f)
			if !ok {
				continue
			}
			if at := m.whereMounted(x.dev, root); at != "" {
				return at
			}
		}
	}
	return ""
}

// whereMounted turns a directory of a file system into a path here, by this
// process's own mounts; "" when it is not mounted here.
func (m *machine) whereMounted(dev, dir string) string {
	best, bestLen := "", -1
	for _, x := range mounts(m.path("/proc/thread-self")) {
		if x.dev != dev || len(x.root) <= bestLen {
			continue
		}
		rest, ok := strings.CutPrefix(dir, strings.TrimSuffix(x.root, "/"))
		if !ok || rest != "" && !strings.HasPrefix(rest, "/") {
			continue
		}
		at := filepath.Join(x.point, rest)
		if exists(m.path(filepath.Join(at, "containers"))) {
			best, bestLen = at, len(x.root)
		}
	}
	return best
}
