package ns

import "testing"

func TestMaxOpenFiles(t *testing.T) {
	const head = "Limit                     Soft Limit           Hard Limit           Units     \n"
	for _, c := range []struct {
		line string
		want int
	}{
		{"Max open files            1024                 524288               files     \n", 1024},
		{"Max open files            unlimited            unlimited            files     \n", 0},
		{"Max processes             96000                96000                processes \n", 0},
		{"", 0},
	} {
		if got := maxOpenFiles([]byte(head + c.line)); got != c.want {
			t.Errorf("%q: %d, want %d", c.line, got, c.want)
		}
	}
}
