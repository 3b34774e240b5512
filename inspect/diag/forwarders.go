package diag

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Forwarders are the servers that a dnsmasq was told on its command line to ask for a
// name, and the word that says so: those of the longest domain that the name is in, else
// those for all names (dnsmasq(8): --server; --local is the same). None where the line
// does not tell: its files are not read.
func Forwarders(p *snap.Process, name string) (at []netip.AddrPort, by string) {
	if p == nil || p.Name != "dnsmasq" {
		return nil, ""
	}
	name = "." + strings.ToLower(strings.Trim(name, "."))
	best := 0
	var all []netip.AddrPort // for all names
	allBy := ""
	for i, word := range p.Args {
		v := ""
		for _, opt := range []string{"--server", "--local", "-S"} {
			rest, ok := strings.CutPrefix(word, opt)
			switch {
			case ok && rest == "" && i+1 < len(p.Args):
				v, word = p.Args[i+1], opt+" "+p.Args[i+1]
			case ok && (rest != "" && rest[0] == '=' || opt == "-S"):
				v = strings.TrimPrefix(rest, "=")
			}
		}
		domains, to := []string{""}, v
		if strings.HasPrefix(v, "/") {
			domains = strings.Split(v[1:], "/")
			to = domains[len(domains)-1]
			domains = domains[:len(domains)-1]
		}
		for _, d := range domains {
			d = strings.ToLower(strings.Trim(d, "*."))
			if v == "" || d == "" && v[0] == '/' || d != "" && (!strings.HasSuffix(name, "."+d) || len(d) < best) {
				continue
			}
			list := &all
			if d != "" {
				list = &at
			}
			switch {
			case len(d) > best:
				best, at, by = len(d), nil, word
			case d == "" && allBy == "":
				allBy = word
			}
			if to == "#" {
				best, by = len(d), "" // it is left to the servers of all names
			}
			host, _, _ := strings.Cut(to, "@") // what it sends from follows
			host, port, _ := strings.Cut(host, "#")
			n, err := strconv.ParseUint(cmp.Or(port, "53"), 10, 16)
			if a, bad := netip.ParseAddr(host); bad == nil && err == nil {
				*list = append(*list, netip.AddrPortFrom(a, uint16(n)))
			}
		}
	}
	if by == "" {
		return all, allBy
	}
	return at, by
}
