package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hostLocal is where the host-local plugin keeps a file for each address that it gave, in a
// directory a network (plugins/ipam/host-local/backend/disk/backend.go: defaultDataDir).
const hostLocal = "/var/lib/cni/networks"

// leases are the addresses that host-local has given away on a network; nil where another
// plugin gives them, or it gave none yet.
func (m *machine) leases(p *cniPlugin, network string) ([]snap.Lease, error) {
	if p.IPAM.Type != "host-local" || strings.Contains(network, "/") {
		return nil, nil
	}
	dir := p.IPAM.DataDir
	if dir == "" {
		dir = hostLocal
	}
	dir = filepath.Join(dir, network)
	files, more, err := readDir(m.path(dir))
	if errors.Is(err, snap.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir, err)
	}
	if more {
		return nil, fmt.Errorf("reading %s: more than %d files", dir, maxDir)
	}
	var out []snap.Lease
	for _, f := range files {
		// "lock" and "last_reserved_ip.0" are there, too.
		if a := addrOf(f); a.IsValid() {
			out = append(out, snap.Lease{Addr: a, File: filepath.Join(dir, f)})
		}
	}
	snap.Sort(out, func(a, b snap.Lease) int { return a.Addr.Compare(b.Addr) })
	return out, nil
}
