package resolv

import (
	"bytes"
	"strings"
)

// ParseNSSwitch reads the hosts line of nsswitch.conf(5): the sources in order,
// each action as one word in its brackets with single blanks inside
// ("[!UNAVAIL=return]"). The last hosts line wins (glibc nss/nss_database.c).
// nil means that there is no such line.
func ParseNSSwitch(b []byte) []string {
	var out []string
	for _, line := range lines(b) {
		if i := bytes.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		db, rest, ok := strings.Cut(text(line), ":")
		if !ok || strings.TrimSpace(db) != "hosts" {
			continue
		}
		out = actions(rest)
	}
	return out
}

// actions splits a list of services and actions. A bracket that is never
// closed ends the list: glibc gives up on the line there.
func actions(s string) []string {
	out := []string{}
	for s = strings.TrimSpace(s); s != "" && len(out) < maxItems; s = strings.TrimSpace(s) {
		if s[0] == '[' {
			in, rest, ok := strings.Cut(s[1:], "]")
			if !ok {
				return out
			}
			out = append(out, "["+strings.Join(strings.Fields(in), " ")+"]")
			s = rest
			continue
		}
		i := strings.IndexFunc(s, func(r rune) bool { return r == '[' || r == ' ' || r == '\t' || r == '\r' || r == '\v' || r == '\f' })
		if i < 0 {
			i = len(s)
		}
		if i == 0 { // a blank that TrimSpace does not know can't be; never loop on it
			return out
		}
		out = append(out, s[:i])
		s = s[i:]
	}
	return out
}
