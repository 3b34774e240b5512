package resolv

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Limits and defaults of resolv.conf(5): glibc resolv/resolv.h RES_MAXNDOTS,
// RES_MAXRETRANS, RES_MAXRETRY; musl src/network/resolvconf.c.
const (
	defaultNdots    = 1
	defaultTimeoutS = 5
	defaultAttempts = 2

	maxNdots         = 15
	glibcMaxTimeoutS = 30
	glibcMaxAttempts = 5
	muslMaxTimeoutS  = 60
	muslMaxAttempts  = 10

	// muslMaxLine is the buffer of musl's fgets, less its NUL: longer lines are
	// skipped as a whole.
	muslMaxLine = 254
)

// ParseResolvConf reads resolv.conf(5) as glibc does (resolv/res_init.c:
// res_vinit_1). Exists is set: whoever has no file makes the value without
// this function, see NoResolvConf.
func ParseResolvConf(b []byte) snap.ResolvConf { return ParseResolvConfAs(b, Glibc) }

// NoResolvConf is the value for a file that is not there: the libc's defaults.
func NoResolvConf() snap.ResolvConf {
	return snap.ResolvConf{
		Nameservers: []netip.Addr{}, Search: []string{}, Options: []string{},
		Ndots: defaultNdots, TimeoutS: defaultTimeoutS, Attempts: defaultAttempts,
	}
}

// ParseResolvConfAs reads resolv.conf(5) as the given libc does; any name but
// Musl means glibc. They differ where it hurts: glibc takes a carriage return
// for a part of the address and drops the line, musl takes it for white space;
// musl knows three options only, and skips lines that are too long.
func ParseResolvConfAs(b []byte, libc string) snap.ResolvConf {
	rc := NoResolvConf()
	rc.Exists = true
	rc.Raw = text(b[:min(len(b), maxRaw)])
	for _, line := range lines(b) {
		if bytes.HasPrefix(line, []byte("#")) || bytes.HasPrefix(line, []byte(";")) {
			remark(&rc, text(line))
			continue
		}
		if libc == Musl && len(line) > muslMaxLine {
			continue
		}
		word, rest, ok := keyword(line, libc)
		if !ok {
			continue
		}
		switch word {
		case "nameserver":
			nameserver(&rc, line, rest, libc)
		case "search", "domain":
			search(&rc, word, rest, libc)
		case "options":
			options(&rc, rest, libc)
		}
	}
	return rc
}

// keyword splits a line into its first word and the rest. The word stands at
// the very start of the line in both libcs: one blank before it hides the line.
func keyword(line []byte, libc string) (word string, rest []byte, ok bool) {
	i := bytes.IndexAny(line, blanks(libc))
	if i <= 0 {
		return "", nil, false
	}
	return string(line[:i]), bytes.TrimLeft(line[i:], blanks(libc)), true
}

// blanks are the characters that separate words: glibc tests for blank and tab
// by hand, musl uses isspace.
func blanks(libc string) string {
	if libc == Musl {
		return " \t\r\v\f"
	}
	return " \t"
}

func nameserver(rc *snap.ResolvConf, line, rest []byte, libc string) {
	end := blanks(libc)
	if libc != Musl {
		end += ";#"
	}
	word := rest
	if i := bytes.IndexAny(word, end); i >= 0 {
		word = word[:i]
	}
	if a, ok := address(string(word)); ok {
		if len(rc.Nameservers) < maxItems {
			rc.Nameservers = append(rc.Nameservers, a)
		}
		return
	}
	if len(rc.BadLines) < maxItems {
		rc.BadLines = append(rc.BadLines, text(line[:min(len(line), 256)]))
	}
}

// search takes a search or domain line: the last one wins, and one without a
// word changes nothing. A domain line has one name; musl does not tell the two
// apart.
func search(rc *snap.ResolvConf, word string, rest []byte, libc string) {
	names := strings.FieldsFunc(text(rest), func(r rune) bool { return strings.ContainsRune(blanks(libc), r) })
	if len(names) == 0 {
		return
	}
	if word == "domain" && libc != Musl {
		names = names[:1]
	}
	rc.Search = names[:min(len(names), maxItems)]
}

// remark takes what Docker writes into the comments of the files that it makes
// (moby daemon/libnetwork/internal/resolvconf/resolvconf.go, since 25).
func remark(rc *snap.ResolvConf, line string) {
	line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
	if v, ok := strings.CutPrefix(line, "Based on host file: "); ok {
		path, kind, found := strings.Cut(strings.TrimPrefix(v, "'"), "'")
		if !found {
			return
		}
		rc.BasedOn = path
		rc.Internal = strings.Contains(kind, "(internal resolver)")
	}
	if v, ok := strings.CutPrefix(line, "ExtServers: "); ok {
		f := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(v, "["), "]"))
		rc.ExtServers = f[:min(len(f), maxItems)]
	}
}
