package diag

import "testing"

func TestCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n          int
		noun, want string
	}{
		{1, "flow", "1 flow"}, {0, "flow", "0 flows"}, {3, "other flow", "3 other flows"},
		{1, "usable address", "1 usable address"}, {2, "usable address", "2 usable addresses"},
		{2, "entry", "2 entries"}, {2, "way", "2 ways"}, {2, "switch", "2 switches"}, {2, "box", "2 boxes"},
	} {
		if got := Count(c.n, c.noun); got != c.want {
			t.Errorf("Count(%d, %q) = %q, want %q", c.n, c.noun, got, c.want)
		}
	}
}
