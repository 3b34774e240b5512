package resolv

import (
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// options takes one options line; several add up.
func options(rc *snap.ResolvConf, rest []byte, libc string) {
	words := strings.FieldsFunc(text(rest), func(r rune) bool { return strings.ContainsRune(blanks(libc), r) })
	for _, w := range words {
		if len(rc.Options) >= maxItems {
			return
		}
		rc.Options = append(rc.Options, w)
	}
	if libc == Musl {
		muslOptions(rc, text(rest))
		return
	}
	for _, w := range words {
		glibcOption(rc, w)
	}
}

// glibcOption is one word of resolv/res_init.c: res_setoptions. Numbers above
// the limit become the limit; a word without a number means 0, as atoi says. A
// negative number lands in a field of 4 bits or becomes an absurd time there:
// it is ignored here.
func glibcOption(rc *snap.ResolvConf, w string) {
	for _, o := range []struct {
		name string
		max  int
		into *int
	}{
		{"ndots:", maxNdots, &rc.Ndots},
		{"timeout:", glibcMaxTimeoutS, &rc.TimeoutS},
		{"attempts:", glibcMaxAttempts, &rc.Attempts},
	} {
		if v, ok := strings.CutPrefix(w, o.name); ok {
			if n := atoi(v); n >= 0 {
				*o.into = min(n, o.max)
			}
			return
		}
	}
	switch w {
	case "rotate":
		rc.Rotate = true
	case "use-vc":
		rc.UseVC = true
	case "single-request":
		rc.SingleRequest = true
	case "edns0":
		rc.EDNS0 = true
	}
}

// muslOptions looks for its three options anywhere in the line, and for a digit
// behind them (src/network/resolvconf.c: __get_resolv_conf).
func muslOptions(rc *snap.ResolvConf, line string) {
	for _, o := range []struct {
		name string
		max  int
		into *int
	}{
		{"ndots:", maxNdots, &rc.Ndots},
		{"timeout:", muslMaxTimeoutS, &rc.TimeoutS},
		{"attempts:", muslMaxAttempts, &rc.Attempts},
	} {
		_, v, ok := strings.Cut(line, o.name)
		if ok && v != "" && v[0] >= '0' && v[0] <= '9' {
			*o.into = min(atoi(v), o.max)
		}
	}
}

// atoi is C's: leading digits with a sign, 0 without any, saturating.
func atoi(s string) int {
	end := 0
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		end = 1
	}
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 32)
	if err != nil && n == 0 {
		return 0 // no digits at all
	}
	return int(n) // at the limit of 32 bits when there were too many digits
}
