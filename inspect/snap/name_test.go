package snap

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesAreOrderedAsPeopleCount(t *testing.T) {
	t.Parallel()
	want := []string{"", "1", "02", "2", "2a", "10", "api", "api-1", "api-02", "api-2", "api-2-db", "api-2-web", "api-10", "api-10-db", "api-99999999999999999999", "api-100000000000000000000", "api-x", "web10.1", "web10.2", "web10.10", "web9223"}
	for i, a := range want {
		for j, b := range want {
			if got := CompareNames(a, b); sign(got) != sign(i-j) {
				t.Errorf("CompareNames(%q, %q) = %d, want the sign of %d", a, b, got, i-j)
			}
		}
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, CompareNames)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("sorted (-want +got):\n%s", d)
	}
}

func sign(n int) int { return max(-1, min(n, 1)) }

// FuzzCompareNames holds the order against what sorting needs: antisymmetric, equal
// only for equal names, and transitive.
func FuzzCompareNames(f *testing.F) {
	f.Add("api-2", "api-10", "api-02")
	f.Add("0", "00", "")
	f.Add("a1b", "a01b", "a1")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba := CompareNames(a, b), CompareNames(b, a)
		if sign(ab) != -sign(ba) {
			t.Errorf("%q and %q: %d one way, %d the other", a, b, ab, ba)
		}
		if (ab == 0) != (a == b) {
			t.Errorf("%q and %q compare as %d", a, b, ab)
		}
		if ab <= 0 && CompareNames(b, c) <= 0 && CompareNames(a, c) > 0 {
			t.Errorf("%q ≤ %q ≤ %q, but not %q ≤ %q", a, b, c, a, c)
		}
	})
}
