package render

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes a foreign string harmless for a terminal, a page or a log: what
// would move the cursor, change colours, break the line or turn the direction
// of writing is shown escaped. Names of interfaces, containers and labels,
// rule comments and DNS answers are chosen by others.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case hostile(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case hostile(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// plain says whether there is nothing to escape, the usual case.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return utf8.ValidString(s) && strings.IndexFunc(s, hostile) < 0
		}
	}
	return true
}

// hostile says whether a rune must not reach a terminal as it is: C0 and C1
// controls, DEL, line and paragraph separators, and all format characters
// (bidirectional controls of UAX #9, zero-width ones, the BOM, tags), private
// use and what is no character.
func hostile(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r < 0xad:
		return false
	}
	return r == 0x2028 || r == 0x2029 || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs) || !unicode.IsGraphic(r)
}

// asciiOnly writes the program's own signs in ASCII, and escapes other runes:
// for terminals that don't speak UTF-8.
func asciiOnly(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch r {
		case '→':
			b.WriteString("->")
		case '←':
			b.WriteString("<-")
		case '↔':
			b.WriteString("<->")
		case '·':
			b.WriteString("-")
		case '×':
			b.WriteString("x")
		case '…':
			b.WriteString("...")
		case '–', '—':
			b.WriteString("-")
		default:
			if r < 0x80 {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		}
	}
	return b.String()
}
