package diag

import (
	"fmt"
	"slices"
	"strings"
)

// Count writes a number of things: "1 flow", "3 flows", "2 addresses", "4 entries".
func Count(n int, noun string) string {
	switch stem, y := strings.CutSuffix(noun, "y"); {
	case n == 1:
	case y && !strings.ContainsAny(stem[max(0, len(stem)-1):], "aeiou"):
		noun = stem + "ies"
	case strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "x"), strings.HasSuffix(noun, "ch"), strings.HasSuffix(noun, "sh"):
		noun += "es"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// Joined puts together what is not empty.
func Joined(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}

// NameAsked is the name by which a flow's destination was asked for, in lower case; an
// address where it was asked for by that.
func NameAsked(f *FlowCase) string {
	return strings.ToLower(f.To[:max(strings.LastIndexByte(f.To, ':'), 0)])
}
