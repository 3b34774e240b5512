package app

import (
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// suggest gives at most three of the known words that the text may have been
// meant for, the nearest first; nil when none is near.
func suggest(text string, known []string) []string {
	type near struct {
		word string
		d    int
	}
	var all []near
	lower := strings.ToLower(text)
	for _, k := range known {
		kl := strings.ToLower(k)
		d := snap.Distance(lower, kl)
		if _, bare, ok := strings.Cut(kl, ":"); ok {
			d = min(d, snap.Distance(lower, bare))
			if _, b, ok := strings.Cut(lower, ":"); ok {
				d = min(d, snap.Distance(b, bare)+1)
			}
			kl = bare
		}
		limit := max(1, len(lower)/3)
		if len(lower) >= 3 && (strings.HasPrefix(kl, lower) || strings.HasSuffix(kl, lower)) {
			d = min(d, limit)
		}
		if d <= limit {
			all = append(all, near{k, d})
		}
	}
	snap.Sort(all, func(a, b near) int {
		if a.d != b.d {
			return a.d - b.d
		}
		return strings.Compare(a.word, b.word)
	})
	var out []string
	for _, n := range all {
		if len(out) < 3 && !slices.Contains(out, n.word) {
			out = append(out, n.word)
		}
	}
	return out
}

// OneOf says that a word must be one of those that are known.
func OneOf(what, word string, known []string) error {
	if slices.Contains(known, word) {
		return nil
	}
	return Meant(Usagef("no %s is called %q", what, word), word, known, "")
}

// Meant hints at those of the known words that a wrong one was perhaps meant for.
// Where none is near the hint is the other one, "" for none.
func Meant(err error, word string, known []string, otherwise string) error {
	if near := suggest(word, known); len(near) > 0 {
		otherwise = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return snap.Hint(err, otherwise)
}
