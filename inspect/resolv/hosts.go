package resolv

import (
	"bytes"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ParseHosts reads hosts(5). Lines without a valid address or without a name
// are left out, as glibc (nss/nss_files/files-hosts.c) and musl
// (src/network/lookup_name.c: name_from_hosts) leave them out. It never gives nil.
func ParseHosts(b []byte) []snap.HostsLine {
	out := []snap.HostsLine{}
	for n, line := range lines(b) {
		if i := bytes.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		f := bytes.Fields(line)
		if len(f) < 2 {
			continue
		}
		a, err := netip.ParseAddr(string(f[0]))
		if err != nil {
			continue
		}
		h := snap.HostsLine{Line: n, Addr: a}
		for _, name := range f[1:min(len(f), maxItems+1)] {
			h.Names = append(h.Names, text(name))
		}
		if out = append(out, h); len(out) >= maxHosts {
			break
		}
	}
	return out
}
