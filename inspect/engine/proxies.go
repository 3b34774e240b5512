package engine

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// proxies are the HTTP proxies of an environment, and what is not asked of them. The
// names are read in either case, as most programs do (curl and wget take http_proxy in
// lower case alone; Go's golang.org/x/net/http/httpproxy both). Users and passwords
// are not kept.
func proxies(env []string) (list []snap.Proxy, none []string) {
	for _, e := range env {
		key, val, _ := strings.Cut(e, "=")
		switch low := strings.ToLower(key); low {
		case "http_proxy", "https_proxy", "all_proxy":
			p := snap.Proxy{By: key, Port: 80}
			scheme, rest, ok := strings.Cut(strings.TrimSpace(val), "://")
			if !ok {
				rest = scheme
			}
			switch {
			case strings.HasPrefix(scheme, "socks"), !ok && low == "all_proxy":
				p.Port = 1080
			case ok && scheme == "https":
				p.Port = 443
			}
			rest, _, _ = strings.Cut(rest, "/")
			rest = rest[strings.LastIndexByte(rest, '@')+1:]
			p.Host = rest
			if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
				n, err := strconv.ParseUint(rest[i+1:], 10, 16)
				if err != nil || n == 0 {
					continue
				}
				p.Host, p.Port = rest[:i], uint16(n)
			}
			p.Host = strings.ToLower(strings.Trim(p.Host, "[]"))
			if _, err := netip.ParseAddr(p.Host); (err == nil || hostRE.MatchString(p.Host)) && len(e) <= maxSetting && len(list) < maxWants {
				list = append(list, p)
			}
		case "no_proxy":
			if len(e) <= maxSetting {
				none = append(none, strings.FieldsFunc(val, func(r rune) bool { return r == ',' || r == ' ' })...)
			}
		}
	}
	return list, none
}
