package engine

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The most that is looked at of one container's settings, and kept of it.
const (
	maxSetting = 4096
	maxWants   = 32
)

var (
	// hostKey is a setting that by its name holds a host: DB_HOST, PGHOST,
	// --db-host; not HOSTNAME, which is a container's own.
	hostKey = regexp.MustCompile(`(?i)(hosts?|(^|[_.-])(addr|address|servers?|endpoints?|brokers?|nodes))$`)
	urlHost = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/@\s]*@)?([^/?#\s]+)`)
	hostRE  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
)

// wants are the names of other hosts that a container's environment and command
// line tell it to talk to: the host of an address (postgres://db:5432/), of
// host:port, or the value of a setting that is called like one. Nothing else of
// them is kept, and of these in the end only what is a name of this engine's own
// (keepKnown): settings may hold secrets.
func wants(env, args []string) []snap.Want {
	var out []snap.Want
	add := func(name, by string) {
		w := snap.Want{Name: strings.ToLower(name), By: by}
		if len(out) < maxWants && !slices.ContainsFunc(out, func(o snap.Want) bool { return o.Name == w.Name }) {
			out = append(out, w)
		}
	}
	for _, e := range env {
		key, val, ok := strings.Cut(e, "=")
		if !ok || len(e) > maxSetting {
			continue
		}
		for _, h := range hostsIn(val, hostKey.MatchString(key)) {
			add(h, key)
		}
	}
	flag := false // the argument before was one like --host
	for i, a := range args {
		if i == 0 || len(a) > maxSetting {
			continue
		}
		key, val, ok := strings.Cut(a, "=")
		switch {
		case strings.HasPrefix(a, "-") && ok:
			for _, h := range hostsIn(val, hostKey.MatchString(strings.TrimLeft(key, "-"))) {
				add(h, "its command line")
			}
			flag = false
			continue
		case strings.HasPrefix(a, "-"):
			flag = hostKey.MatchString(strings.TrimLeft(a, "-"))
			continue
		}
		for _, h := range hostsIn(a, flag) {
			add(h, "its command line")
		}
		flag = false
	}
	return out
}

// hostsIn are the host names in a value; a bare word is one only where bare says so.
func hostsIn(val string, bare bool) []string {
	var out []string
	for _, v := range strings.FieldsFunc(val, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		named := bare
		if m := urlHost.FindStringSubmatch(v); m != nil {
			v, named = m[1], true
		}
		host, port, ok := strings.Cut(v, ":")
		if n, err := strconv.ParseUint(port, 10, 16); ok && (err != nil || n == 0) {
			continue
		}
		if !ok && !named || !hostRE.MatchString(host) || strings.Trim(host, "0123456789.") == "" {
			continue
		}
		if _, err := netip.ParseAddr(host); err == nil {
			continue
		}
		out = append(out, host)
	}
	return out
}

// keepKnown leaves of what containers want the names that another container of
// the same engine has: its own, an alias, its service's.
func keepKnown(cs []snap.Container) {
	known := map[string]map[string]int{} // engine, name: how many containers have it
	names := func(c *snap.Container) map[string]bool {
		own := map[string]bool{strings.ToLower(c.Name): true, strings.ToLower(c.Service): true}
		for i := range c.Endpoints {
			for _, a := range c.Endpoints[i].Aliases {
				own[strings.ToLower(a)] = true
			}
		}
		delete(own, "")
		return own
	}
	for i := range cs {
		if known[cs[i].Engine] == nil {
			known[cs[i].Engine] = map[string]int{}
		}
		for n := range names(&cs[i]) {
			known[cs[i].Engine][n]++
		}
	}
	for i := range cs {
		c := &cs[i]
		own := names(c)
		c.Wants = snap.Without(c.Wants, func(w snap.Want) bool { return own[w.Name] || known[c.Engine][w.Name] == 0 })
		if len(c.Wants) == 0 {
			c.Wants = nil
		}
	}
}
