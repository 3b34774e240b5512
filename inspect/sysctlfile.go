package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sysctlLines are the assignments below net/ in the files that are applied at
// boot, in the order of application: sysctl.d(5), the files of all directories
// by base name, where a directory that comes first hides the same name in
// later ones; and /etc/sysctl.conf last, as procps does it.
func sysctlLines(root string) ([]snap.SysctlLine, error) {
	files := map[string]string{} // base name → path
	for _, d := range []string{"etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"} {
		paths, err := filepath.Glob(filepath.Join(root, d, "*.conf"))
		if err != nil {
			return []snap.SysctlLine{}, fmt.Errorf("listing %s: %w", d, err)
		}
		for _, p := range paths {
			if base := filepath.Base(p); files[base] == "" {
				files[base] = p
			}
		}
	}
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	conf := filepath.Join(root, "etc/sysctl.conf")
	paths := make([]string, 0, len(names)+1)
	for _, n := range names {
		// Debian links 99-sysctl.conf to ../sysctl.conf: it is one file.
		if to, err := os.Readlink(files[n]); err == nil && filepath.Base(to) == "sysctl.conf" {
			continue
		}
		paths = append(paths, files[n])
	}
	out := []snap.SysctlLine{}
	var refused error
	for _, p := range append(paths, conf) {
		b, err := small(p)
		switch {
		case errors.Is(err, fs.ErrPermission):
			refused = fmt.Errorf("reading %s: %w", p, snap.ErrPermission)
		case err == nil:
			out = append(out, parseSysctl(p, b)...)
		}
	}
	return out, refused
}

// parseSysctl reads one file of sysctl.conf(5).
func parseSysctl(path string, b []byte) []snap.SysctlLine {
	var out []snap.SysctlLine
	lines(b, func(n int, l string) {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' || l[0] == ';' {
			return
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(l, "-"), "=")
		if !ok {
			return
		}
		key = sysctlKey(strings.TrimSpace(key))
		if strings.HasPrefix(key, "net/") {
			out = append(out, snap.SysctlLine{File: path, Line: n, Key: key, Value: strings.TrimSpace(value)})
		}
	})
	return out
}

// sysctlKey writes a key with slashes: the separator is whichever of "." and
// "/" comes first, and the other one then belongs to a name
// (net.ipv4.conf.eth0/100.rp_filter is the device eth0.100).
func sysctlKey(k string) string {
	if i := strings.IndexAny(k, "./"); i < 0 || k[i] == '/' {
		return k
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, k)
}
