// Package resolv turns the bytes of the name service files of libc into
// values: resolv.conf(5), hosts(5), nsswitch.conf(5). It is pure, bounded, and
// never fails: what a libc would skip is skipped, what it would choke on is
// told apart in the value.
package resolv

import (
	"bytes"
	"iter"
)

// MaxBytes is how much of a file is looked at; the rest is ignored. Host files
// with a block list in them have a few MiB; nothing sensible has more.
const MaxBytes = 4 << 20

// maxRaw is how much of a file is kept in ResolvConf.Raw, as snap promises.
const maxRaw = 64 << 10

// maxItems bounds the lists of nameservers, search domains, options and bad
// lines, so that a hostile file can't blow up a snapshot. glibc asks 3
// nameservers and musl 3; no libc has a use for hundreds.
const maxItems = 128

// maxHosts bounds the lines taken from a hosts file.
const maxHosts = 65536

// Names of the libcs whose reading of a file differs.
const (
	Glibc = "glibc"
	Musl  = "musl"
)

// lines yields the lines of a file with their numbers from 1, without the
// newline. As in C, a line ends at a NUL byte: what follows it is not seen by
// any libc.
func lines(b []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		b = b[:min(len(b), MaxBytes)]
		for n := 1; len(b) > 0; n++ {
			line, rest, _ := bytes.Cut(b, []byte{'\n'})
			b = rest
			if i := bytes.IndexByte(line, 0); i >= 0 {
				line = line[:i]
			}
			if !yield(n, line) {
				return
			}
		}
	}
}

// text makes a string that survives JSON: bytes that are no UTF-8 become
// U+FFFD.
func text(b []byte) string { return string(bytes.ToValidUTF8(b, []byte("\uFFFD"))) }
