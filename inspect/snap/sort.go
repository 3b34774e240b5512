package snap

import (
	"reflect"
	"sort"
)

// Sort puts s into the order of compare, in place; equals keep their order. It does what
// [slices.SortStableFunc] does with one copy of the code for all types, where that one brings
// 5 kB for each: the lists of a host are short, the program is copied to many hosts.
func Sort[E any](s []E, compare func(a, b E) int) {
	sort.SliceStable(s, func(i, j int) bool { return compare(s[i], s[j]) < 0 })
}

// Without takes out of s, in place, what gone says; the others keep their order. It does
// what [slices.DeleteFunc] does without a copy, for each type, of the code that moves it.
func Without[E any](s []E, gone func(E) bool) []E {
	n, swap := 0, reflect.Swapper(s)
	for i := range s {
		if !gone(s[i]) {
			swap(n, i)
			n++
		}
	}
	return s[:n]
}
